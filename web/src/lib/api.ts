// Requests of the API: the cookie says who asks, or the token that a desktop has handed over, nothing is kept on disk, and what goes wrong is a Problem.
import type { components } from './schema';

export type Message = components['schemas']['MessageView'];
export type MessagePage = components['schemas']['MessagePage'];
export type Box = components['schemas']['OwnMailbox'];
export type OwnEmail = components['schemas']['OwnEmail'];
export type Schedule = components['schemas']['ScheduleBody'];
export type Mwi = components['schemas']['MwiEvent'];
export type MwiState = components['schemas']['MwiState'];

const PREFIX = '/api/v1';
/** Longest wait before the one retry, in milliseconds. */
const PATIENCE = 5_000;

/** Why a request didn't succeed. `kind` is the last part of the problem's type, `network` when there was no answer. */
export class Problem extends Error {
  constructor(
    readonly kind: string,
    readonly status: number,
    /** Milliseconds to wait before trying again, if the answer says so. */
    readonly wait?: number,
  ) {
    super(kind);
  }
}

let signedOut: () => void = () => {};
let bearer: string | undefined;

/** From now on this token says who asks, and no cookie. It is in memory alone. */
export function askAs(token: string | undefined) {
  bearer = token;
}

/** Calls `told` when an answer says that the session is over. */
export function onSignedOut(told: () => void) {
  signedOut = told;
}

export interface Ask {
  method?: string;
  /** Sent as JSON. */
  json?: unknown;
  body?: BodyInit;
  headers?: Record<string, string>;
  signal?: AbortSignal;
}

/** The answer to a request of the API, 304 included. A reading request that finds the store away is repeated once. */
export async function ask(path: string, options: Ask = {}): Promise<Response> {
  try {
    return await request(PREFIX + path, options);
  } catch (problem) {
    const again = (options.method ?? 'GET') === 'GET' && problem instanceof Problem && problem.status === 503;
    if (!again) throw problem;
    await new Promise((done) => setTimeout(done, Math.min(problem.wait ?? 1_000, PATIENCE)));
    options.signal?.throwIfAborted();
    return await request(PREFIX + path, options);
  }
}

/** The JSON of an answer. */
export async function read<T>(path: string, options: Ask = {}): Promise<T> {
  return (await (await ask(path, options)).json()) as T;
}

/** The answer to a request of this host. */
export async function request(url: string, options: Ask = {}): Promise<Response> {
  const headers = new Headers(options.headers);
  headers.set('X-Voicemail-Page', '1');
  const by = bearer;
  if (by) headers.set('Authorization', `Bearer ${by}`);
  let body = options.body;
  if (options.json !== undefined) {
    headers.set('Content-Type', 'application/json');
    body = JSON.stringify(options.json);
  }
  const { method = 'GET', signal } = options;
  let answer: Response;
  try {
    answer = await fetch(url, { method, headers, body, signal, cache: 'no-store', credentials: by ? 'omit' : 'same-origin', redirect: 'error' });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Problem('network', 0);
  }
  if (answer.ok || answer.status === 304) return answer;
  // What is said of a token that another one has replaced meanwhile says nothing of that.
  if (answer.status === 401 && by === bearer && !answer.url.includes('/ui/session')) signedOut();
  throw await problemOf(answer);
}

async function problemOf(answer: Response): Promise<Problem> {
  const { type } = (await answer.json().catch(() => ({}))) as { type?: string };
  const wait = Number(answer.headers.get('Retry-After')) * 1_000;
  return new Problem(type?.split('/').pop() ?? 'internal', answer.status, wait > 0 ? wait : undefined);
}

/** Path of a mailbox. */
export function boxPath(mailbox: string): string {
  return `/mailboxes/${encodeURIComponent(mailbox)}`;
}

/** Path of a message. */
export function messagePath({ mailbox, id }: { mailbox: string; id: string }): string {
  return `${boxPath(mailbox)}/messages/${id}`;
}

/**
 * Where an element takes a message's recording from by itself, in pieces. The cookie says who asks; in place of a token, which an element can't
 * send, a ticket does, for a minute.
 */
export async function streamOf(message: Message, signal: AbortSignal): Promise<string> {
  const path = `${PREFIX}${messagePath(message)}/audio?codec=pcm16`;
  if (!bearer) return path;
  const json = { purpose: 'audio', mailbox: message.mailbox, message: message.id };
  const { ticket } = await read<components['schemas']['TicketAnswer']>('/tickets', { method: 'POST', json, signal });
  return `${path}&ticket=${encodeURIComponent(ticket)}`;
}
