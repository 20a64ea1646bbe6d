// What the tests share: one Chromium, violations of the pages' policy, axe, and the API for what others do.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

// RESOLVE: where a name leads that no name server knows, as the browser's rules have it. SLOW: each answer of the API comes up to so many
// milliseconds late, so that a test fails which looks at a page before its parts are there.
const { CHROMIUM, MODULES, PEOPLE, RESOLVE, URL: base } = process.env;
export const slow = Number(process.env.SLOW) || 0;
const load = createRequire(join(MODULES, 'package.json'));
const { chromium } = load('playwright-core');
const AXE = readFileSync(load.resolve('axe-core/axe.min.js'), 'utf8');
const MESSAGES = join(import.meta.dirname, '../src/messages');
/** What a part says in each language until it has what it shows. */
const LOADING = readdirSync(MESSAGES).map((file) => JSON.parse(readFileSync(join(MESSAGES, file), 'utf8'))['app.loading']);

export { base };
/** Passwords by name. */
export const people = JSON.parse(PEOPLE);

const ARGUMENTS = ['--no-sandbox', '--mute-audio', '--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream', '--disable-dev-shm-usage'];

/** Its start may take long on a machine with much to do. */
async function open(profile) {
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: CHROMIUM,
    args: [...ARGUMENTS, ...(RESOLVE ? [`--host-resolver-rules=${RESOLVE}`] : [])],
    timeout: 120_000,
    viewport: { width: 1280, height: 800 },
    locale: 'en-GB',
  });
  context.setDefaultTimeout(30_000);
  return context;
}

/** A browser for the tests of a file: `begin` is given its context before the first of them. Names the folder of its profile. */
export function browse(begin) {
  const profile = mkdtempSync(join(tmpdir(), 'profile-'));
  let context;
  before(async () => {
    context = await open(profile);
    await begin(context);
  });
  after(async () => {
    await context?.close();
    rmSync(profile, { recursive: true, force: true });
  });
  return profile;
}

/** A page that notes what its policy refuses. */
export async function newPage(context, violations) {
  const page = await context.newPage();
  await page.exposeFunction('noteViolation', (what) => violations.push(what));
  await page.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', (event) => window.noteViolation(`${event.effectiveDirective} ${event.blockedURI} ${event.sourceFile}`));
  });
  page.on('pageerror', (error) => violations.push(`${error}`));
  if (slow) await page.addInitScript(answerLate, slow);
  return page;
}

/** In a page: its requests of the API are answered up to so many milliseconds later. */
export function answerLate(most) {
  const { fetch } = window;
  window.fetch = async (...asked) => {
    const answer = await fetch(...asked);
    if (answer.url.includes('/api/v1/')) await new Promise((done) => setTimeout(done, Math.random() * most));
    asked[1]?.signal?.throwIfAborted();
    return answer;
  };
}

/** Waits until all parts of a page, or of a frame, have what they show. */
export async function settled(page) {
  const loading = () => page.getByRole('status').allTextContents().then((all) => all.filter((text) => LOADING.includes(text.trim())));
  await until(async () => (await loading()).length === 0, 'no part says that it is loading');
}

export async function signIn(page, name = 'alice') {
  await page.goto(`${base}/ui`);
  await page.getByLabel('Name').fill(name);
  await page.getByLabel('Password').fill(people[name]);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('heading', { level: 2, name: /1001|1002/ }).waitFor();
}

/**
 * Answers the page's requests of `pattern` with `handler` until the function that it returns is called. A browser gives a page its
 * interceptor some time after it is asked to: without waiting, 20 of 300 requests made at once went past it on a busy machine.
 */
export async function intercept(page, pattern, handler) {
  const sign = '**/intercepted';
  await page.route(sign, (route) => route.fulfill({ body: 'intercepted' }));
  await page.route(pattern, handler);
  await until(() => page.evaluate(async () => (await (await fetch('/intercepted')).text()) === 'intercepted'), 'requests are intercepted');
  return async () => {
    await page.unroute(pattern);
    await page.unroute(sign);
  };
}

/** The core's answer to a request that is intercepted. Who asks for the page must say, as the browser does, that it is the page's own request. */
export async function answerOf(route) {
  const headers = { ...(await route.request().allHeaders()), 'sec-fetch-site': 'same-origin' };
  return route.fetch({ headers });
}

/** Answers what the page asks of its session with the core's answer, changed by `change`. */
export async function changeSession(page, change) {
  await page.route('**/ui/session', async (route) => {
    const response = await answerOf(route);
    await route.fulfill({ response, json: change(await response.json()) });
  });
}

/** Tests as steps, one after the other: what follows one that failed would only wait for what isn't there. */
export function steps() {
  let failed;
  return (name, run) =>
    test(name, async () => {
      assert.equal(failed, undefined, 'a step before failed');
      failed = name;
      await run();
      failed = undefined;
    });
}

/** Findings of axe, none of which there may be; it looks at the size of targets, too (24 px), which it wouldn't by itself. */
export async function check(page, what) {
  await settled(page);
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => window.axe.run(document, { resultTypes: ['violations'], rules: { 'target-size': { enabled: true } } }));
  const found = violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map(({ html }) => html).join(' | ')}`);
  assert.deepEqual(found, [], what);
}

async function checkWidth(page, what, width) {
  const wide = await page.evaluate(() => document.documentElement.scrollWidth);
  assert.ok(wide <= width, `${what} is ${wide} px wide in ${width}`);
}

/** Axe in both colours and both widths; and nothing is wider than the window, 320 px included: 1280 px at 400 % zoom. */
export async function checkEverywhere(page, what) {
  for (const colorScheme of ['light', 'dark']) {
    for (const width of [1280, 390]) {
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize({ width, height: 800 });
      await check(page, `${what}, ${colorScheme}, ${width}`);
      await checkWidth(page, what, width);
    }
  }
  await page.setViewportSize({ width: 320, height: 800 });
  await checkWidth(page, what, 320);
  await page.emulateMedia({ colorScheme: 'light' });
  await page.setViewportSize({ width: 1280, height: 800 });
}

/** Waits until something holds; what it was, or a function that tells how it is instead. */
export async function until(holds, what, within = 30_000) {
  const end = Date.now() + within;
  for (;;) {
    if (await holds()) return;
    if (Date.now() > end) assert.fail(typeof what === 'function' ? await what() : what);
    await new Promise((done) => setTimeout(done, 25));
  }
}

/** In a page: whether its browser makes no markup of text, as the policy wants it. */
export function refusesMarkup() {
  try {
    document.body.insertAdjacentHTML('beforeend', '<i>x</i>');
    return false;
  } catch {
    return true;
  }
}

/** The API as one of the people. */
export async function api(name, path, { method = 'GET', json, form } = {}) {
  const headers = { Authorization: `Basic ${Buffer.from(`${name}:${people[name]}`).toString('base64')}` };
  if (json) headers['Content-Type'] = 'application/json';
  const answer = await fetch(`${base}/api/v1${path}`, { method, headers, body: form ?? (json && JSON.stringify(json)) });
  assert.ok(answer.ok, `${method} ${path}: ${answer.status} ${await answer.clone().text()}`);
  return answer.status === 204 ? undefined : answer.json();
}

/** ITU-T G.711 of a sample of 16 bits: by trying which code is nearest. */
const LAWS = {
  muLaw: (code) => {
    const bits = ~code & 0xff;
    const size = (((bits & 15) * 2 + 33) << ((bits >> 4) & 7)) - 33;
    return (bits & 128 ? -size : size) * 4;
  },
  aLaw: (code) => {
    const bits = code ^ 0x55;
    const exponent = (bits >> 4) & 7;
    const size = exponent === 0 ? (bits & 15) * 2 + 1 : ((bits & 15) * 2 + 33) << (exponent - 1);
    return (bits & 128 ? size : -size) * 8;
  },
};
function nearest(law, sample) {
  let best = 0;
  for (let code = 1; code < 256; code++) if (Math.abs(law(code) - sample) < Math.abs(law(best) - sample)) best = code;
  return best;
}

/** A second and a half of 440 Hz, as a recorder writes it; or so many seconds as a studio would, in 48 kHz and two channels. */
function tone(coding, seconds) {
  const [rate, channels] = seconds ? [48_000, 2] : [8_000, 1];
  const [count, law] = [(seconds ?? 1.5) * rate, LAWS[coding]];
  const width = (law ? 1 : 2) * channels;
  const file = Buffer.alloc(44 + count * width);
  file.write('RIFF', 0);
  file.writeUInt32LE(36 + count * width, 4);
  file.write('WAVEfmt ', 8);
  file.writeUInt32LE(16, 16);
  file.writeUInt16LE({ pcm: 1, aLaw: 6, muLaw: 7 }[coding], 20);
  file.writeUInt16LE(channels, 22);
  file.writeUInt32LE(rate, 24);
  file.writeUInt32LE(rate * width, 28);
  file.writeUInt16LE(width, 32);
  file.writeUInt16LE((width / channels) * 8, 34);
  file.write('data', 36);
  file.writeUInt32LE(count * width, 40);
  for (let i = 0; i < count; i++) {
    const sample = Math.round(12_000 * Math.sin((i * 2 * Math.PI * 440) / rate));
    if (law) file.writeUInt8(nearest(law, sample), 44 + i);
    else for (let channel = 0; channel < channels; channel++) file.writeInt16LE(sample, 44 + i * width + channel * 2);
  }
  return file;
}

/** Leaves a message. */
export async function leave(mailbox, { caller, name, coding = 'pcm', seconds } = {}) {
  const form = new FormData();
  if (caller) form.append('caller', caller);
  if (name) form.append('callerName', name);
  form.append('audio', new Blob([tone(coding, seconds)], { type: 'audio/wav' }), 'a.wav');
  return api('media', `/mailboxes/${mailbox}/messages`, { method: 'POST', form });
}
