// Who has signed in. The session is a cookie that no script can read; what is known of it comes from /ui/session.
//
// It is renewed a minute before it ends, by one tab at a time: a renewal may be good for once.
import { Problem, onSignedOut, request } from './api.ts';

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
}

const RENEW_BEFORE = 60;
/** How long to wait after a renewal that didn't get through, in seconds. */
const TRY_AGAIN = 10;

class Session {
  state: 'loading' | 'out' | 'in' | 'failed' = $state('loading');
  who: SignedIn | undefined = $state();
  passwords = $state(false);
  /** Names of the issuers where one can sign in. */
  providers: string[] = $state([]);
  demonstration = $state(false);
  problem: Problem | undefined = $state();
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor() {
    onSignedOut(() => void this.load());
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
    channel.postMessage('out');
    // Whoever stays signed in at the issuer would come back in without being asked.
    if (endSession) location.assign(endSession);
  }

  async renew() {
    await navigator.locks.request('vm-renew', async () => {
      try {
        const now = await ask('/ui/session');
        // Another tab was faster.
        const done = now.session && now.session.secondsLeft > RENEW_BEFORE;
        this.#take(done || !now.renewable ? now : await ask('/ui/session/renew', {}));
      } catch (error) {
        this.#fail(error);
      }
    });
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
    this.who = answer.session;
    this.state = answer.session ? 'in' : 'out';
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

const channel = new BroadcastChannel('vm-session');
export const session = new Session();
channel.onmessage = () => session.told();
