'use client';

/** @ridecast/client/react: hooks. Peer dependency: react 18 or newer. */
import {
  createContext,
  createElement,
  type ReactElement,
  type ReactNode,
  useContext,
  useEffect,
  useMemo,
  useRef,
  useState,
  useSyncExternalStore,
} from 'react';
import { connect, watchFleet, watchOrder } from './index.ts';
import { type Leases, lease } from './lease.ts';
import type {
  Client,
  FleetOptions,
  Freshness,
  Info,
  Item,
  Off,
  Options,
  Order,
  OrderEvents,
  OrderWatch,
  Selector,
  Watch,
  WatchEvents,
} from './types.ts';

const Context = createContext<Client | undefined>(undefined);

export interface ClientProviderProps {
  /** A client that the app opens and closes itself; or `url` and `options`, as for `connect`, for one of the provider's own. */
  client?: Client;
  url?: string;
  /** Those of the first render with this url count. */
  options?: Options;
  children?: ReactNode;
}

/** Gives the components below it a client. One of its own is opened after the first render and closed with the provider. */
export function ClientProvider({ client, url, options, children }: ClientProviderProps): ReactElement {
  const [own, setOwn] = useState<Client>();
  // biome-ignore lint/correctness/useExhaustiveDependencies: options that are written in place are others each time
  useEffect(() => {
    if (client || !url) return;
    let mine: Client | undefined;
    // Not at once: StrictMode, which takes it back at once, does not dial.
    const opening = setTimeout(() => {
      mine = connect(url, options!);
      setOwn(mine);
    });
    return () => {
      clearTimeout(opening);
      mine?.close();
    };
  }, [client, url]);
  return createElement(Context.Provider, { value: client ?? own }, children);
}

/** The client of the nearest provider; undefined until it has one: never on a server, nor in the first render. */
export function useClient(): Client | undefined {
  return useContext(Context);
}

/** The state of the connection, anew whenever it changes; undefined while there is no client. */
export function useConnection(): Info | undefined {
  const client = useClient();
  const subscribe = useMemo(() => (changed: Off) => client?.on('state', changed) ?? nothing, [client]);
  return useNow(subscribe, () => client?.info);
}

export interface OrderState<T> {
  /** Undefined until the first snapshot; afterwards the newest one, also when the watch is over. */
  data: T | undefined;
  freshness: Freshness;
}

/**
 * An order, watched while a component uses it; all that use it share one watch. null: none. With `select` the component
 * is drawn again only when what that returns is another thing.
 */
export function useOrder<T = Order>(
  id: string | null,
  select: (order: Order | undefined) => T | undefined = same<T>,
): OrderState<T> {
  const { get, on } = useOrderSource(id);
  const pick = useMemo(() => {
    let from: Order | undefined;
    let picked = select(from);
    return () => {
      const order = get()?.snapshot;
      if (order !== from) {
        from = order;
        picked = select(order);
      }
      return picked;
    };
  }, [get, select]);
  return {
    data: useNow(on, pick),
    freshness: useNow(on, () => get()?.freshness ?? 'catching-up'),
  };
}

/** The watch that `useOrder` shows, for what is not drawn by React: `animate` of /smooth. */
export function useOrderWatch(id: string | null): OrderWatch | undefined {
  const { get, on } = useOrderSource(id);
  return useNow(on, get);
}

/** Calls the newest `listener` for each event of an order while the component is there. */
export function useOrderEvent<K extends keyof (OrderEvents & WatchEvents<Order>)>(
  id: string | null,
  event: K,
  listener: (e: (OrderEvents & WatchEvents<Order>)[K]) => void,
): void {
  const { use } = useOrderSource(id);
  const newest = useRef(listener);
  useEffect(() => {
    newest.current = listener;
  });
  useEffect(() => use((watch) => watch.on(event, (e) => newest.current(e))), [use, event]);
}

/** The riders of a zone or a partner, or a list of orders, by id, anew with each batch; undefined until they are known. */
export function useFleet(
  selector: Selector | null,
  options?: FleetOptions,
): ReadonlyMap<string, Item> | undefined {
  const name = selector && JSON.stringify([selector, options]);
  const { get, on } = useSource(name, (client) => watchFleet(client, selector!, options));
  return useNow(on, () => get()?.snapshot);
}

// ---- watches that components share ------------------------------------------------------------------------------

type AnyWatch = Watch<unknown, object>;

type Subscribe = (changed: Off) => Off;

/** Where a hook finds its watch. */
interface Source<W> {
  get(): W | undefined;
  /** Holds it until the end of what `then` began. */
  use(then: (watch: W) => Off): Off;
  on: Subscribe;
}

const shared = new WeakMap<Client, Leases<AnyWatch>>();
const nothing: Off = () => {};
const same = <T>(order: Order | undefined) => order as T | undefined;

function useSource<W extends AnyWatch>(name: string | null, open: (client: Client) => W): Source<W> {
  const client = useClient();
  // biome-ignore lint/correctness/useExhaustiveDependencies: the name says what is opened
  return useMemo(() => {
    const all = (client && shared.get(client)) ?? new Map();
    if (client) shared.set(client, all);
    const use: Source<W>['use'] = (then) =>
      client && name ? lease<W>(all, name, () => open(client), then) : nothing;
    const on: Subscribe = (changed) =>
      use((watch) => {
        const change = watch.on('change', changed);
        const freshness = watch.on('freshness', changed);
        return () => {
          change();
          freshness();
        };
      });
    return { get: () => all.get(name)?.held, use, on };
  }, [client, name]);
}

const useOrderSource = (id: string | null) => useSource(id, (client) => watchOrder(client, id!));

/** What `get` gives, now and after each change. */
const useNow = <T>(subscribe: Subscribe, get: () => T): T => useSyncExternalStore(subscribe, get, get);
