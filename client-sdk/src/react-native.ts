/** @ridecast/client/react-native: tells the SDK of the app's state and of the network. */
import type { Env } from './types.ts';

/** What is needed of `AppState` of react-native. */
export interface AppStateModule {
  readonly currentState?: string | null;
  addEventListener(event: 'change', listener: (state: string) => void): { remove(): void };
}

/** What is needed of the default export of @react-native-community/netinfo. */
export interface NetInfoModule {
  addEventListener(listener: (state: { type: string; isConnected: boolean | null }) => void): () => void;
}

export interface ReactNativeModules {
  AppState: AppStateModule;
  /** Without it only the app's state is known. */
  NetInfo?: NetInfoModule;
}

/**
 * For `connect(url, { env: reactNative({ AppState, NetInfo }) })`: an app in the background lets go as a hidden page does
 * (not with `background: true`), one that comes back, or has a network again, is live at once.
 */
export function reactNative({ AppState, NetInfo }: ReactNativeModules): Env {
  return (tell) => {
    let hidden = AppState.currentState === 'background';
    /** The kind of network; none: ''. Unknown until it is told. */
    let network: string | undefined;
    const say = () => tell({ hidden, offline: network === '' });
    const app = AppState.addEventListener('change', (state) => {
      // iOS for a call or the task switcher: it may be seen again in a moment.
      if (state === 'inactive') return;
      hidden = state === 'background';
      say();
    });
    const net = NetInfo?.addEventListener(({ type, isConnected }) => {
      const now = isConnected ? type : '';
      if (isConnected === null || now === network) return;
      network = now;
      say();
    });
    if (hidden) say();
    return () => {
      app.remove();
      net?.();
    };
  };
}
