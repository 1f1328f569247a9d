// A customer's page with React: the order's status, and its rider as a dot that glides over a map of your own.
// Bundle it as any React app; the token comes from your backend.
import { ClientProvider, useConnection, useOrder, useOrderWatch } from '@ridecast/client/react';
import { animate } from '@ridecast/client/smooth';
import { sse, withFallback } from '@ridecast/client/sse';
import { StrictMode, useEffect, useRef } from 'react';
import { createRoot } from 'react-dom/client';

const transport = withFallback(sse()); // where WebSockets are refused
const token = async () => (await fetch('/token')).text();

function Status({ id }) {
  const { data, freshness } = useOrder(id);
  const connection = useConnection();
  return (
    <p data-freshness={freshness}>
      {data ? data.status : 'looking for your order'}, {freshness}, {connection?.state}
    </p>
  );
}

function Dot({ id }) {
  const order = useOrderWatch(id);
  const dot = useRef(null);
  useEffect(() => {
    if (!order) return;
    return animate(order, ({ lat, lng }) => dot.current?.setAttribute('data-at', `${lat} ${lng}`));
  }, [order]);
  return <i ref={dot} />;
}

createRoot(document.getElementById('app')).render(
  <StrictMode>
    <ClientProvider url={`${location.origin.replace('http', 'ws')}/v1/ws`} options={{ token, transport }}>
      <Status id={location.hash.slice(1)} />
      <Dot id={location.hash.slice(1)} />
    </ClientProvider>
  </StrictMode>,
);
