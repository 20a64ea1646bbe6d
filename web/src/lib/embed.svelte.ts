// The Inbox in a frame of an agent's desktop (/ui/embed/inbox): what it and the desktop tell each other, version 1.
//
//   in   vm:token {token, expiresAt}   vm:open {mailbox, message}   vm:theme {theme}   vm:language {language}
//   out  vm:ready   vm:need-token   vm:mwi {mailboxes}   vm:call {number}   vm:height {height}
//
// Each message has `version: 1`. Only the pages of `embedIn` are listened to, and told anything. A token that the desktop hands
// over is kept in memory, and stands in for the session's cookie, which no frame of another site is given.
import { go } from './router.svelte.ts';
import { start as speak } from './i18n.svelte.ts';

const VERSION = 1;
const THEMES: Record<string, string> = { light: 'light', dark: 'dark', auto: 'light dark' };

export interface Handed {
  token: string;
  /** RFC 3339; unknown when absent. */
  expiresAt?: string;
}

type Told = { type: string; version: number } & Record<string, unknown>;

class Embed {
  /** Whether this page is the one for frames. */
  readonly active = location.pathname.startsWith('/ui/embed/');
  /** Whether the desktop has been asked for a token and hasn't given one yet. */
  waiting = $state(false);
  #hosts: string[] = [];
  #host: string | undefined;
  #handed: (handed: Handed) => void = () => {};

  /** Listens to these hosts; `handed` takes their tokens. */
  start(hosts: string[], handed: (handed: Handed) => void) {
    const first = this.#hosts.length === 0;
    this.#hosts = hosts;
    this.#handed = handed;
    if (!this.active || window.parent === window || !first || hosts.length === 0) return;
    addEventListener('message', (event) => this.#hear(event));
    new ResizeObserver(() => this.#tell('vm:height', { height: document.documentElement.scrollHeight })).observe(document.body);
    this.#tell('vm:ready');
  }

  /** Asks the desktop who uses it. */
  needToken() {
    this.waiting = true;
    this.#tell('vm:need-token');
  }

  /** Tells how many messages are new. */
  count(mailboxes: { mailbox: string; new: number; old: number }[]) {
    this.#tell('vm:mwi', { mailboxes });
  }

  /** Has the desktop dial. */
  call(number: string) {
    this.#tell('vm:call', { number });
  }

  #hear({ source, origin, data }: MessageEvent<Partial<Told>>) {
    if (source !== window.parent || !this.#hosts.includes(origin) || data?.version !== VERSION) return;
    this.#host = origin;
    switch (data.type) {
      case 'vm:token':
        if (typeof data.token !== 'string') return;
        this.waiting = false;
        return this.#handed({ token: data.token, expiresAt: text(data.expiresAt) });
      case 'vm:open':
        return go({ mailbox: text(data.mailbox), message: text(data.message) });
      case 'vm:theme':
        document.documentElement.style.colorScheme = THEMES[String(data.theme)] ?? 'light dark';
        return;
      case 'vm:language':
        void speak(text(data.language));
    }
  }

  /** Browsers deliver a message to a page of the named origin alone: before the desktop has spoken, it may be any of the hosts. */
  #tell(type: string, more: Record<string, unknown> = {}) {
    if (!this.active || window.parent === window) return;
    const message: Told = { ...more, type, version: VERSION };
    for (const host of this.#host ? [this.#host] : this.#hosts) window.parent.postMessage(message, host);
  }
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

export const embed = new Embed();
