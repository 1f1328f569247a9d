/** What an app's state and its network tell the SDK. */
import { beforeEach, describe, expect, it } from 'vitest';
import { type ReactNativeModules, reactNative } from '../src/react-native.ts';
import type { Around } from '../src/types.ts';
import { rig, settle, stillTime } from './pair.ts';

stillTime();

/** React Native's two modules, as they behave: NetInfo tells at once what is. */
function device(currentState = 'active', first: [string, boolean | null] = ['wifi', true]) {
  const apps = new Set<(state: string) => void>();
  const nets = new Set<(state: { type: string; isConnected: boolean | null }) => void>();
  const AppState: ReactNativeModules['AppState'] = {
    currentState,
    addEventListener(_, listener) {
      apps.add(listener);
      return { remove: () => apps.delete(listener) };
    },
  };
  const NetInfo: ReactNativeModules['NetInfo'] = {
    addEventListener(listener) {
      nets.add(listener);
      listener({ type: first[0], isConnected: first[1] });
      return () => nets.delete(listener);
    },
  };
  return {
    AppState,
    NetInfo,
    listeners: () => apps.size + nets.size,
    app(state: string) {
      for (const tell of apps) tell(state);
    },
    net(type: string, isConnected: boolean | null = type !== 'none') {
      for (const tell of nets) tell({ type, isConnected });
    },
  };
}

let said: Around[];
beforeEach(() => {
  said = [];
});
const listen = (modules: ReactNativeModules) => reactNative(modules)((around) => said.push(around));

describe('the app', () => {
  it('in the background is hidden, back in front it is shown, and a call that lies over it is neither', () => {
    const phone = device();
    listen({ AppState: phone.AppState });
    for (const state of ['inactive', 'background', 'active', 'inactive', 'active']) phone.app(state);
    expect(said.map(({ hidden }) => hidden)).toEqual([true, false, false]);
  });

  it('that was started in the background is hidden from the beginning', () => {
    listen({ AppState: device('background').AppState });
    expect(said).toMatchObject([{ hidden: true }]);
  });

  it('suspends in the background, and is live soon after it is back', async () => {
    const phone = device();
    const r = rig({ env: reactNative(phone) });
    await r.welcome();
    phone.app('background');
    await settle(30_000);
    expect(r.client.info).toMatchObject({ state: 'suspended', reason: 'hidden' });
    phone.app('active');
    await settle(300);
    await r.welcome();
    expect(r.client.info.state).toBe('live');
    r.client.close();
    expect(phone.listeners()).toBe(0);
  });
});

describe('the network', () => {
  it('is not said to be missing while it is not known', () => {
    listen(device('active', ['unknown', null]));
    expect(said).toEqual([]);
    listen(device());
    expect(said).toEqual([{ hidden: false, offline: false }]);
  });

  it('tells when it goes, comes, and becomes another', () => {
    const phone = device();
    const off = listen(phone);
    for (const type of ['wifi', 'cellular', 'none', 'none', 'cellular']) phone.net(type);
    expect(said.map(({ offline }) => offline)).toEqual([false, false, true, false]);
    off();
    phone.net('none');
    expect(said.length).toBe(4);
  });

  it('that is missing at first is told', () => {
    const phone = device('active', ['none', false]);
    listen(phone);
    phone.net('wifi');
    expect(said.map(({ offline }) => offline)).toEqual([true, false]);
  });

  it('need not be known', () => {
    const { AppState } = device();
    listen({ AppState })();
    expect(said).toEqual([]);
  });
});
