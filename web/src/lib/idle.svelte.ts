// Whether the page goes unused: then it shows counts alone. Who works in one tab uses the others, too, and so does who listens.
import { embed } from './embed.svelte.ts';

const ACTS = ['pointerdown', 'keydown', 'touchstart', 'wheel', 'timeupdate'];
/** How often other tabs are told, in milliseconds. */
const TELL_EVERY = 10_000;

class Idle {
  now = $state(false);
  #limit = Infinity;
  #last = Date.now();
  #told = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  // A frame of another site may have no channel.
  #channel = embed.active ? undefined : new BroadcastChannel('vm-idle');

  constructor() {
    // Media's own events don't bubble.
    for (const act of ACTS) document.addEventListener(act, () => this.use(), { capture: true, passive: true });
    document.addEventListener('visibilitychange', () => this.#look());
    if (this.#channel) this.#channel.onmessage = () => this.#note();
  }

  /** From now on the page counts as unused after so many seconds. */
  after(seconds: number) {
    this.#limit = seconds * 1_000;
    this.#look();
  }

  /** Somebody uses the page. */
  use() {
    this.#note();
    if (this.#last - this.#told < TELL_EVERY) return;
    this.#told = this.#last;
    this.#channel?.postMessage('used');
  }

  #note() {
    this.#last = Date.now();
    if (this.now || this.#timer === undefined) this.#look();
  }

  /** Browsers hold timers of pages up that nobody looks at: the clock says how long it was. */
  #look() {
    clearTimeout(this.#timer);
    const left = this.#last + this.#limit - Date.now();
    this.now = left <= 0;
    this.#timer = this.now || left === Infinity ? undefined : setTimeout(() => this.#look(), left);
  }
}

export const idle = new Idle();
