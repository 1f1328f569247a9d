/** A few lines instead of a framework. */

type Child = Node | string | undefined;

/** `h('p', { class: 'big' }, 'text')`. Attributes that are undefined are left out. */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Readonly<Record<string, string | undefined>> = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined) element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== undefined));
  return element;
}

/** Sets the text only if it changed: screen readers and layout stay quiet. */
export function write(element: Element, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

/** Says something to screen readers. */
export function announce(text: string): void {
  write(document.querySelector('#announce')!, text);
}

/** `every(1000, draw, signal)` draws now and every second until the signal aborts. */
export function every(ms: number, run: () => void, signal: AbortSignal): void {
  run();
  const timer = setInterval(run, ms);
  signal.addEventListener('abort', () => clearInterval(timer), { once: true });
}

export function wait(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener(
      'abort',
      () => {
        clearTimeout(timer);
        resolve();
      },
      { once: true },
    );
  });
}
