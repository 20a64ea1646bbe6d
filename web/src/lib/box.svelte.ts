// The messages of one mailbox as shown: asked for with the tag of what is known, changed at once on a click, and taken back
// when the server refuses. Changes of one message are asked for one after the other, as they were made: two that are under
// way together may arrive in any order. So may a list and a change: which of them the server answered last isn't known, and
// the list is asked for again.
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
  /** The open message, while the list doesn't have it. */
  #kept: Message | undefined;
  #tag: string | undefined;
  #asking: AbortController | undefined;
  /** How many pages are shown. */
  #pages = 1;
  /** The last change under way of each message. */
  #changing = new Map<string, Promise<void>>();
  /** How many changes have ended. */
  #changed = 0;
  /** Whether a list came while a message was being changed, which is shown as it will be. */
  #isPassedOver = false;

  constructor(
    readonly mailbox: string,
    readonly filter: Filter,
  ) {}

  /** Asks for the pages that are shown, unless there is one and it is as known. */
  async load() {
    this.#asking?.abort();
    const asking = (this.#asking = new AbortController());
    try {
      while (!(await this.#loadOnce(asking.signal)));
      [this.state, this.problem] = ['fresh', undefined];
    } catch (error) {
      if (asking.signal.aborted) return;
      this.problem = kindOf(error);
      this.state = this.state === 'loading' || this.state === 'failed' ? 'failed' : 'stale';
    }
  }

  /** False if a change ended meanwhile: the list may be from before it. */
  async #loadOnce(signal: AbortSignal): Promise<boolean> {
    const before = this.#changed;
    const page = await this.#readPages(signal);
    signal.throwIfAborted();
    if (before !== this.#changed) return false;
    if (page) this.#take(page);
    await this.#lookAtKept(signal);
    this.#isPassedOver ||= this.#changing.size > 0;
    return before === this.#changed;
  }

  /** All pages that are shown as one, with the tag of the first if it is alone; undefined if that is as known. */
  async #readPages(signal: AbortSignal): Promise<(MessagePage & { tag?: string }) | undefined> {
    const headers: Record<string, string> = this.#tag ? { 'If-None-Match': this.#tag } : {};
    const answer = await ask(this.#path(), { headers, signal });
    if (answer.status === 304) return undefined;
    const all = (await answer.json()) as MessagePage;
    const tag = this.#pages === 1 ? (answer.headers.get('ETag') ?? undefined) : undefined;
    for (let pages = 1; all.next && pages < this.#pages; pages++) {
      const { messages, next } = await read<MessagePage>(this.#path(all.next), { signal });
      all.messages.push(...messages);
      all.next = next;
    }
    return { ...all, tag };
  }

  /** Shows one page more. */
  async more() {
    if (!this.next) return;
    this.#pages += 1;
    this.#tag = undefined;
    await this.load();
  }

  stop() {
    this.#asking?.abort();
  }

  /** Changes a message here at once, and there; what was shown before comes back when it is refused. */
  change(message: Message, now: Partial<Message>, method: string, path = '', json?: unknown): Promise<void> {
    const before = this.messages.find(({ id }) => id === message.id) ?? message;
    this.#put({ ...before, ...now });
    return this.#inTurn(message, () => ask(messagePath(message) + path, { method, json }), before);
  }

  /** Notes that a message was listened to: what was saved meanwhile, here or elsewhere, stays so. */
  heard(message: Message): Promise<void> {
    return this.#inTurn(message, () => ask(messagePath(message), { method: 'PATCH', json: { heard: true } }));
  }

  /** Takes a message out of the trash, wherever it was deleted. */
  restore(message: Message): Promise<void> {
    return this.#inTurn(message, () => ask(`${messagePath(message)}/restore`, { method: 'POST' }));
  }

  /** Asks for a change after those before it, and shows the answer of the last one. */
  #inTurn({ id }: Message, change: () => Promise<Response>, before?: Message): Promise<void> {
    this.#tag = undefined;
    const isLast = () => this.#changing.get(id) === turn;
    const run = async () => {
      try {
        const message = (await (await change()).json()) as Message;
        if (isLast()) this.#put(message);
      } catch (error) {
        if (before && isLast()) this.#put(before);
        throw error;
      } finally {
        this.#changed += 1;
        if (isLast()) this.#changing.delete(id);
        if (this.#isPassedOver && this.#changing.size === 0) this.#lookAgain();
      }
    };
    const turn: Promise<void> = (this.#changing.get(id) ?? Promise.resolve()).then(run, run);
    this.#changing.set(id, turn);
    return turn;
  }

  #lookAgain() {
    if (this.#asking?.signal.aborted) return; // Nobody looks any more.
    [this.#isPassedOver, this.#tag] = [false, undefined];
    void this.load();
  }

  #take({ messages, next, tag }: MessagePage & { tag?: string }) {
    [this.#tag, this.next] = [tag, next ?? undefined];
    const at = this.messages.findIndex(({ id }) => id === this.open);
    const open = this.messages[at];
    // What is being changed is shown as it will be, and not as it was when the list was made.
    const changing = (id: string) => this.messages.filter((one) => one.id === id);
    this.messages = messages.flatMap((message) => (this.#changing.has(message.id) ? changing(message.id) : [message]));
    this.#kept = this.messages.some(({ id }) => id === open?.id) ? undefined : open;
    if (this.#kept) this.messages.splice(at, 0, this.#kept);
  }

  /** Why the open message isn't listed: it is in another state now, or somebody deleted it, and it was erased perhaps. */
  async #lookAtKept(signal: AbortSignal) {
    const [kept, before] = [this.#kept, this.#changed];
    if (!kept || this.#changing.has(kept.id)) return;
    try {
      const message = await read<Message>(messagePath(kept), { signal });
      if (!this.#changing.has(kept.id) && before === this.#changed) this.#put(message);
    } catch (error) {
      if (!(error instanceof Problem) || error.status !== 404) throw error;
      this.messages = this.messages.filter(({ id }) => id !== kept.id);
      this.#kept = undefined;
    }
  }

  /** Shows a message where it belongs, the newest first; or no more. */
  #put(message: Message) {
    const there = this.messages.findIndex(({ id }) => id === message.id);
    if (!this.#shows(message)) {
      if (there >= 0) this.messages.splice(there, 1);
    } else if (there >= 0) this.messages[there] = message;
    else {
      const older = this.messages.findIndex(({ received }) => received < message.received);
      this.messages.splice(older < 0 ? this.messages.length : older, 0, message);
    }
  }

  #shows({ id, state }: Message): boolean {
    if ((state === 'trashed') !== (this.filter === 'trashed')) return false;
    return this.filter === 'all' || state === this.filter || id === this.open;
  }

  #path(cursor?: string): string {
    const state = this.filter === 'all' ? '' : `&state=${this.filter}`;
    const from = cursor ? `&cursor=${encodeURIComponent(cursor)}` : '';
    return `${boxPath(this.mailbox)}/messages?limit=${MOST}${state}${from}`;
  }
}

/** The kind of problem of whatever was thrown. */
export function kindOf(error: unknown): string {
  return error instanceof Problem ? error.kind : 'other';
}
