// <voicemail-mwi>: a button with the number of new messages, for pages of agents' desktops. It stands by itself, without the
// Inbox, and runs in the page that loads it, whose trust it shares.
//
//   <script type="module" crossorigin src="https://voicemail.acme.example/ui/mwi.js"></script>
//   <voicemail-mwi mailbox="1001" label="Voicemail: {count} new"></voicemail-mwi>
//   element.token = () => desktop.accessToken();   // a text, or a function that gives one or a promise of one
//   element.addEventListener('vm:open', ({ detail }) => …);
//
// Counts come by /api/v1/mwi/events, which the tenant lets this page's origin read (cors.allowedOrigins).

/** After so long a silence the count may be old; the server sends something every 15 s. */
const SILENCE = 20_000;
const PAUSES = [1_000, 30_000] as const;

type Token = string | (() => string | Promise<string>);

const style = new CSSStyleSheet();
style.replaceSync(`
  button { font: inherit; color: inherit; background: none; border: 1px solid currentColor; border-radius: 6px; min-width: 24px; min-height: 24px; padding: 2px 8px; cursor: pointer }
  button:focus-visible { outline: 3px solid; outline-offset: 2px }
  .new { font-weight: 700 }
  .old { opacity: 0.6 }
`);

class VoicemailMwi extends HTMLElement {
  static observedAttributes = ['src', 'mailbox', 'label'];
  #button = document.createElement('button');
  #token: Token | undefined;
  #stop: AbortController | undefined;
  /** New messages by mailbox. */
  #counts = new Map<string, number>();
  #live = false;

  constructor() {
    super();
    const root = this.attachShadow({ mode: 'open' });
    root.adoptedStyleSheets = [style];
    this.#button.type = 'button';
    this.#button.part.add('button');
    this.#button.onclick = () => {
      const detail = { mailbox: this.getAttribute('mailbox') ?? undefined };
      this.dispatchEvent(new CustomEvent('vm:open', { bubbles: true, composed: true, detail }));
    };
    root.append(this.#button);
    this.#show();
  }

  /** Who looks: an access token for the tenant's audience, or what gives one whenever it is wanted. */
  set token(token: Token | undefined) {
    this.#token = token;
    this.#start();
  }

  /** How many messages are new; `undefined` before it is known. */
  get count(): number | undefined {
    if (this.#counts.size === 0 && !this.#live) return undefined;
    const mailbox = this.getAttribute('mailbox');
    if (mailbox !== null) return this.#counts.get(mailbox) ?? 0;
    return [...this.#counts.values()].reduce((sum, count) => sum + count, 0);
  }

  connectedCallback() {
    this.#start();
  }

  disconnectedCallback() {
    this.#stop?.abort();
  }

  attributeChangedCallback(name: string) {
    if (name === 'src') this.#start();
    this.#show();
  }

  #start() {
    this.#stop?.abort();
    if (!this.isConnected || this.#token === undefined) return;
    const stop = (this.#stop = new AbortController());
    this.#counts.clear();
    this.#tell(false);
    void this.#follow(stop.signal);
  }

  async #follow(stop: AbortSignal) {
    let pause: number = PAUSES[0];
    while (!stop.aborted) {
      try {
        await this.#read(stop);
        pause = PAUSES[0];
      } catch {
        pause = Math.min(pause * 2, PAUSES[1]);
      }
      if (stop.aborted) return;
      this.#tell(false);
      await new Promise((done) => setTimeout(done, pause * (0.5 + Math.random() / 2)));
    }
  }

  /** One stream, until it ends or is silent for too long. */
  async #read(stop: AbortSignal) {
    const silent = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const heard = () => {
      clearTimeout(timer);
      timer = setTimeout(() => silent.abort(), SILENCE);
    };
    heard();
    try {
      const token = typeof this.#token === 'function' ? await this.#token() : this.#token;
      const url = new URL('/api/v1/mwi/events', this.getAttribute('src') ?? import.meta.url);
      const headers = { Authorization: `Bearer ${token}`, Accept: 'text/event-stream' };
      const answer = await fetch(url, { headers, cache: 'no-store', credentials: 'omit', signal: AbortSignal.any([stop, silent.signal]) });
      if (answer.status === 401) this.dispatchEvent(new CustomEvent('vm:need-token', { bubbles: true, composed: true }));
      if (!answer.ok) throw new Error(String(answer.status));
      const reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader();
      let text = '';
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        heard();
        text += value.replaceAll('\r', '');
        for (let end; (end = text.indexOf('\n\n')) >= 0; text = text.slice(end + 2)) this.#take(text.slice(0, end));
      }
    } finally {
      clearTimeout(timer);
    }
  }

  #take(block: string) {
    const field = (name: string) =>
      block
        .split('\n')
        .find((line) => line.startsWith(`${name}:`))
        ?.slice(name.length + 1)
        .trim();
    const data = field('data');
    if (!data) return this.#tell(true);
    const told = JSON.parse(data) as { Mailbox: string; NewMessages: number; Mailboxes?: { Mailbox: string; NewMessages: number }[] };
    const event = field('event');
    if (event === 'state') this.#counts = new Map(told.Mailboxes?.map((one) => [one.Mailbox, one.NewMessages]));
    else if (event === 'mwi') this.#counts.set(told.Mailbox, told.NewMessages);
    else if (event === 'gone') this.#counts.delete(told.Mailbox);
    this.#tell(true);
  }

  #tell(live: boolean) {
    this.#live = live;
    this.#show();
  }

  #show() {
    const { count } = this;
    const words = (this.getAttribute('label') ?? 'Voicemail: {count}').replace('{count}', count === undefined ? '–' : String(count));
    if (this.#button.textContent !== words) this.#button.textContent = words;
    this.#button.className = `${count ? 'new' : ''} ${this.#live ? '' : 'old'}`;
    this.toggleAttribute('live', this.#live);
  }
}

customElements.define('voicemail-mwi', VoicemailMwi);
