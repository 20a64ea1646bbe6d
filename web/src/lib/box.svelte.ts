// The messages of one mailbox as shown: asked for with the tag of what is known, changed at once on a click, and taken back
// when the server refuses.
import { Problem, ask, boxPath, messagePath, read, type Message, type MessagePage } from './api.ts';

export type Filter = 'all' | 'new' | 'saved' | 'trashed';

const MOST = 100;

export class BoxList {
  messages: Message[] = $state([]);
  state: 'loading' | 'fresh' | 'stale' | 'failed' = $state('loading');
  problem: string | undefined = $state();
  next: string | undefined = $state();
  /** The message that is open: it stays in the list, also when its state isn't one that is listed any more. */
  open: string | undefined;
  #tag: string | undefined;
  #asking: AbortController | undefined;

  constructor(
    readonly mailbox: string,
    readonly filter: Filter,
  ) {}

  /** Asks for the first page, unless it is as known. */
  async load() {
    this.#asking?.abort();
    const asking = (this.#asking = new AbortController());
    try {
      const headers: Record<string, string> = this.#tag ? { 'If-None-Match': this.#tag } : {};
      const answer = await ask(this.#path(), { headers, signal: asking.signal });
      if (answer.status !== 304) {
        const page = (await answer.json()) as MessagePage;
        this.#tag = answer.headers.get('ETag') ?? undefined;
        this.#take(page.messages);
        this.next = page.next ?? undefined;
      }
      [this.state, this.problem] = ['fresh', undefined];
    } catch (error) {
      if (asking.signal.aborted) return;
      this.problem = kindOf(error);
      this.state = this.state === 'loading' || this.state === 'failed' ? 'failed' : 'stale';
    }
  }

  /** Asks for the next page. */
  async more() {
    if (!this.next) return;
    try {
      const page = await read<MessagePage>(`${this.#path()}&cursor=${encodeURIComponent(this.next)}`);
      const known = new Set(this.messages.map(({ id }) => id));
      this.messages.push(...page.messages.filter(({ id }) => !known.has(id)));
      // What was known by its tag was the first page alone.
      [this.#tag, this.next] = [undefined, page.next ?? undefined];
    } catch (error) {
      this.problem = kindOf(error);
    }
  }

  stop() {
    this.#asking?.abort();
  }

  /** Changes a message here at once, and there; what was shown before comes back when it is refused. */
  async change(id: string, now: Partial<Message>, method: string, path = '', json?: unknown): Promise<void> {
    const at = this.messages.findIndex((message) => message.id === id);
    const before = this.messages[at];
    if (!before) return;
    this.#tag = undefined;
    const shown = { ...before, ...now };
    if (this.#shows(shown)) this.messages[at] = shown;
    else this.messages.splice(at, 1);
    try {
      const answer = await ask(messagePath(before) + path, { method, json });
      this.#put((await answer.json()) as Message);
    } catch (error) {
      this.#put(before, at);
      throw error;
    }
  }

  /** Takes a message out of the trash, wherever it was deleted. */
  async restore(message: Message): Promise<void> {
    this.#tag = undefined;
    const answer = await ask(`${messagePath(message)}/restore`, { method: 'POST' });
    const now = (await answer.json()) as Message;
    const older = this.messages.findIndex(({ received }) => received < now.received);
    this.#put(now, older < 0 ? this.messages.length : older);
  }

  #take(messages: Message[]) {
    const at = this.messages.findIndex(({ id }) => id === this.open);
    const open = this.messages[at];
    this.messages = messages;
    if (open && open.state !== 'trashed' && !messages.some(({ id }) => id === open.id)) this.messages.splice(at, 0, open);
  }

  #put(message: Message, at = this.messages.length) {
    const there = this.messages.findIndex(({ id }) => id === message.id);
    if (!this.#shows(message)) {
      if (there >= 0) this.messages.splice(there, 1);
    } else if (there >= 0) this.messages[there] = message;
    else this.messages.splice(at, 0, message);
  }

  #shows({ id, state }: Message): boolean {
    if ((state === 'trashed') !== (this.filter === 'trashed')) return false;
    return this.filter === 'all' || state === this.filter || id === this.open;
  }

  #path(): string {
    const state = this.filter === 'all' ? '' : `&state=${this.filter}`;
    return `${boxPath(this.mailbox)}/messages?limit=${MOST}${state}`;
  }
}

/** The kind of problem of whatever was thrown. */
export function kindOf(error: unknown): string {
  return error instanceof Problem ? error.kind : 'other';
}
