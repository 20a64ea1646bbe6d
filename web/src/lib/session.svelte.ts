// Who has signed in. The session is a cookie that no script can read; what is known of it comes from /ui/session.
//
// It is renewed a minute before it ends, by one tab at a time: a renewal may be good for once.
import { Problem, askAs, onSignedOut, read, request } from './api.ts';
import { embed, type Handed } from './embed.svelte.ts';
import { idle } from './idle.svelte.ts';
import { callers, type Masked } from './mask.svelte.ts';

export interface SignedIn {
  user?: string;
  subject: string;
  roles: string[];
  secondsLeft: number;
}

interface Answer {
  session?: SignedIn;
  renewable: boolean;
  passwords: boolean;
  providers: string[];
  demonstration: boolean;
  embedIn: string[];
  idleSeconds: number;
  maskCallers: Masked;
}

interface Me {
  user?: string;
  subject: string;
  roles: string[];
  endsAt: string;
}

const RENEW_BEFORE = 60;
/** How long to wait after a renewal that didn't get through, in seconds. */
const TRY_AGAIN = 10;
/** Longest time of a timer of browsers, in milliseconds. */
const LONGEST_TIMER = 2 ** 31 - 1;

class Session {
  state: 'loading' | 'out' | 'in' | 'failed' = $state('loading');
  who: SignedIn | undefined = $state();
  passwords = $state(false);
  /** Names of the issuers where one can sign in. */
  providers: string[] = $state([]);
  demonstration = $state(false);
  problem: Problem | undefined = $state();
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** The token of the desktop that says who it is, if one does in place of a session. */
  #handed: string | undefined;
  /** Whether the session was renewed while nobody used the page. */
  #isIdle = false;

  constructor() {
    onSignedOut(() => (this.#handed ? this.#needToken() : void this.load()));
    // Who signs in at another tab comes back to this frame signed in.
    if (embed.active) document.addEventListener('visibilitychange', () => !document.hidden && this.state === 'out' && !this.#handed && void this.load());
  }

  /** Takes the token that the desktop hands over. */
  async take({ token, expiresAt }: Handed) {
    askAs(token);
    this.#handed = token;
    try {
      const { user, subject, roles, endsAt } = await read<Me>('/me');
      // The desktop may have handed over another one meanwhile, perhaps of somebody else.
      if (this.#handed !== token) return;
      const ends = Math.min(Date.parse(endsAt), Date.parse(expiresAt ?? '') || Infinity);
      const secondsLeft = (ends - Date.now()) / 1_000;
      this.who = { user, subject, roles, secondsLeft };
      [this.state, this.problem] = ['in', undefined];
      clearTimeout(this.#timer);
      // The desktop's next one comes before this one ends.
      const wait = Math.max(secondsLeft - RENEW_BEFORE, secondsLeft / 2, 1);
      this.#timer = setTimeout(() => embed.needToken(), Math.min(wait * 1_000, LONGEST_TIMER));
    } catch (error) {
      // Without an answer nothing is known of the token: who looks at the page can try again.
      if (this.#handed === token && !(error instanceof Problem && error.status === 401)) this.#fail(error);
    }
  }

  #needToken() {
    askAs(undefined);
    this.#handed = undefined;
    this.#end();
    embed.needToken();
  }

  /** Asks who has signed in. A session that has ended is renewed if it can be. */
  async load() {
    try {
      const answer = await ask('/ui/session');
      if (!answer.session && answer.renewable) await this.renew();
      else this.#take(answer);
    } catch (error) {
      this.#fail(error);
    }
  }

  async signIn(name: string, password: string) {
    this.#take(await ask('/ui/session/password', { name, password }));
  }

  async signOut() {
    const answer = await request('/ui/session/logout', { method: 'POST' });
    const { endSession } = (await answer.json()) as { endSession?: string };
    this.#end();
    channel?.postMessage('out');
    // Whoever stays signed in at the issuer would come back in without being asked.
    if (endSession) location.assign(endSession);
  }

  /** Renews the session: for the role agent alone while nobody uses the page. */
  async renew() {
    // Without another role there is nothing to go on with until somebody comes back.
    if (idle.now && !this.who?.roles.includes('agent')) return void (this.#isIdle = true);
    await navigator.locks.request('vm-renew', async () => {
      try {
        const now = await ask('/ui/session');
        // Another tab was faster.
        const done = now.session && now.session.secondsLeft > RENEW_BEFORE && !this.#returned();
        const unused = idle.now;
        this.#take(done || !now.renewable ? now : await ask(`/ui/session/renew?idle=${unused}`, {}));
        this.#isIdle = unused;
      } catch (error) {
        this.#fail(error);
      }
    });
    // Somebody may have come back while it was renewed.
    this.used();
  }

  /** Whether somebody uses the page again whose session was renewed while nobody did. */
  #returned(): boolean {
    return this.#isIdle && !idle.now;
  }

  /** Somebody uses the page again: their other roles come back. */
  used() {
    if (this.#returned()) void this.renew();
  }

  /** Another tab has signed out. */
  told() {
    this.#end();
  }

  #take(answer: Answer) {
    clearTimeout(this.#timer);
    this.problem = undefined;
    this.passwords = answer.passwords;
    this.providers = answer.providers;
    this.demonstration = answer.demonstration;
    callers.masked = answer.maskCallers;
    idle.after(answer.idleSeconds);
    embed.start(answer.embedIn, (handed) => void this.take(handed));
    // While this was asked the desktop may have said who it is.
    if (this.#handed) return;
    this.who = answer.session;
    this.state = answer.session ? 'in' : 'out';
    if (embed.active && !answer.session) embed.needToken();
    if (answer.session && answer.renewable) this.#renewIn(answer.session.secondsLeft - RENEW_BEFORE);
    else if (answer.session) this.#timer = setTimeout(() => void this.load(), answer.session.secondsLeft * 1_000);
  }

  #renewIn(seconds: number) {
    this.#timer = setTimeout(() => void this.renew(), Math.max(seconds, 1) * 1_000);
  }

  #fail(error: unknown) {
    const problem = error instanceof Problem ? error : new Problem('internal', 0);
    if (problem.status === 401) return this.#end();
    this.problem = problem;
    if (this.state === 'in') this.#renewIn(TRY_AGAIN);
    else this.state = 'failed';
  }

  #end() {
    clearTimeout(this.#timer);
    this.who = undefined;
    this.state = 'out';
  }
}

async function ask(path: string, json?: unknown): Promise<Answer> {
  const answer = await request(path, json === undefined ? {} : { method: 'POST', json });
  return (await answer.json()) as Answer;
}

// Signing out in a tab is told to frames by the next answer of the server: a frame of another site may have no channel.
const channel = embed.active ? undefined : new BroadcastChannel('vm-session');
export const session = new Session();
if (channel) channel.onmessage = () => session.told();
