// The Inbox in a frame of an agent's desktop, and the element with the count: by a token that the desktop hands over, by the
// session of the same site, and for nobody else. The desktop is a page of another port, once as localhost (the same site as the
// pages), once as 127.0.0.1 (another one).
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { after } from 'node:test';
import { api, base, browse, check, leave, newPage, signIn, steps, until } from './browser.mjs';

const { DESKTOP, TOKEN } = process.env;
const sameSite = `http://localhost:${DESKTOP}`;
const otherSite = `http://127.0.0.1:${DESKTOP}`;
const violations = [];
let context;
let desktop;
let stranger;

/** A desktop: it notes what it is told, and hands the token over when it is asked for and has one. */
const HTML = `<!doctype html><html lang="en"><title>Desktop</title><main><h1>Desktop</h1>
<script>
  window.told = [];
  window.say = (message, to) => document.querySelector('iframe').contentWindow.postMessage(message, to ?? '${base}');
  addEventListener('message', ({ origin, data }) => {
    window.told.push({ origin, ...data });
    if (data.type === 'vm:need-token' && window.handed) say({ type: 'vm:token', version: 1, token: window.handed });
  });
</script></main></html>`;

const test = steps();

function serve(port) {
  const server = createServer((_, answer) => answer.setHeader('Content-Type', 'text/html').end(HTML));
  return new Promise((done) => server.listen(port, '127.0.0.1', () => done(server)));
}

browse(async (opened) => {
  context = opened;
  desktop = await serve(Number(DESKTOP));
  stranger = await serve(0);
  for (const [mailbox, label] of [['1001', 'Alice'], ['1002', 'Bob']]) {
    await api('admin', `/mailboxes/${mailbox}`, { method: 'PUT', json: { classOfService: 'standard', label } });
  }
  await api('admin', '/users/alice', { method: 'PUT', json: { mailboxes: ['1001'], groups: [] } });
  await leave('1001', { caller: '+442079460101', name: 'Ada Lovelace' });
});
after(() => {
  desktop?.close();
  stranger?.close();
});

/** A desktop's page with the frame. */
async function embed(origin, token) {
  const page = await newPage(context, violations);
  await page.goto(origin);
  await page.evaluate((handed) => (window.handed = handed), token);
  await page.evaluate((src) => {
    const frame = Object.assign(document.createElement('iframe'), { src, title: 'Voicemail', width: 900, height: 700 });
    document.querySelector('main').append(frame);
  }, `${base}/ui/embed/inbox`);
  return { page, inbox: page.frameLocator('iframe') };
}

const told = (page, type) => page.evaluate((type) => window.told.filter((one) => one.type === type), type);
const last = async (page, type) => (await told(page, type)).at(-1);

test('a desktop of another site hands its token over, and the agent works', async () => {
  const { page, inbox } = await embed(otherSite, TOKEN);
  await inbox.locator('[data-row]').filter({ hasText: 'Ada Lovelace' }).waitFor();
  const [ready] = await told(page, 'vm:ready');
  assert.deepEqual(ready, { origin: base, type: 'vm:ready', version: 1 });
  await until(async () => (await last(page, 'vm:mwi'))?.mailboxes[0]?.new === 1, 'the desktop knows the count');
  assert.deepEqual((await last(page, 'vm:mwi')).mailboxes, [{ mailbox: '1001', new: 1, old: 0 }]);
  assert.ok((await last(page, 'vm:height')).height > 100);
  assert.equal(await inbox.getByRole('button', { name: 'Sign out' }).count(), 0, 'signing out is the desktop’s');

  await inbox.locator('[data-row]').filter({ hasText: 'Ada Lovelace' }).click();
  await inbox.getByRole('button', { name: 'Call back' }).click();
  await until(async () => (await last(page, 'vm:call'))?.number === '+442079460101', 'the desktop dials');
  await check(page.frames()[1], 'a frame');

  await page.evaluate(() => say({ type: 'vm:language', version: 1, language: 'de' }));
  await inbox.getByRole('button', { name: 'Zurückrufen' }).waitFor();
  await page.evaluate(() => say({ type: 'vm:theme', version: 1, theme: 'dark' }));
  await until(() => page.frames()[1].evaluate(() => getComputedStyle(document.documentElement).colorScheme === 'dark'), 'the theme is the desktop’s');
  await check(page.frames()[1], 'a dark frame');
  const { messages } = await api('alice', '/mailboxes/1001/messages');
  await page.evaluate((message) => say({ type: 'vm:open', version: 1, mailbox: '1001', message }), messages[0].id);
  await until(() => page.frames()[1].url().endsWith(`/ui/embed/inbox/1001/${messages[0].id}`), 'what the desktop names is open');

  // A long one is streamed by the element, which a ticket lets in; another ticket once that has ended.
  await page.evaluate(() => say({ type: 'vm:language', version: 1, language: 'en' }));
  await leave('1001', { name: 'From a studio', seconds: 60 });
  await inbox.locator('[data-row]').filter({ hasText: 'From a studio' }).click();
  await inbox.getByRole('button', { name: 'Play', exact: true }).click();
  const audio = (read) => page.frames()[1].evaluate(read);
  await until(() => audio(() => document.querySelector('audio')?.currentTime > 0.3), 'it plays');
  const ticket = await audio(() => new URL(document.querySelector('audio').src).searchParams.get('ticket'));
  assert.ok(ticket && !ticket.includes(TOKEN), 'a ticket stands in for the token');
  await audio(() => (document.querySelector('audio').src = document.querySelector('audio').src.replace(/ticket=.*/, 'ticket=x')));
  await until(() => audio(() => document.querySelector('audio').currentTime > 0.3 && !document.querySelector('audio').src.endsWith('=x')), 'it goes on with another ticket');
  const [{ id }] = (await api('alice', '/mailboxes/1001/messages')).messages;
  await api('alice', `/mailboxes/1001/messages/${id}`, { method: 'DELETE' });

  // Chromium denies the frame all storage; another browser would show what is kept.
  const kept = await page.frames()[1].evaluate(() => {
    const all = [() => ({ ...localStorage }), () => ({ ...sessionStorage }), () => document.cookie];
    return JSON.stringify(all.map((read) => { try { return read(); } catch { return 'denied'; } }));
  });
  assert.ok(!kept.includes(TOKEN.slice(0, 20)), 'the token is in memory alone');
  await page.close();
});

test('a token that opens nothing is answered by asking for another', async () => {
  const { page, inbox } = await embed(otherSite, 'x.y.z');
  await inbox.getByText('Waiting for your desktop').waitFor();
  await until(async () => (await told(page, 'vm:need-token')).length >= 2, 'it is asked for again');
  await check(page.frames()[1], 'waiting');
  await page.evaluate((token) => (window.handed = token), TOKEN);
  await page.evaluate((token) => say({ type: 'vm:token', version: 1, token }), TOKEN);
  await inbox.locator('[data-row]').filter({ hasText: 'Ada Lovelace' }).waitFor();
  await page.close();
});

test('messages of other versions and windows are no business of the frame', async () => {
  const { page, inbox } = await embed(otherSite);
  await inbox.getByText('Waiting for your desktop').waitFor();
  await page.evaluate((token) => say({ type: 'vm:token', version: 2, token }), TOKEN);
  await page.evaluate((token) => say({ type: 'vm:token', token }), TOKEN);
  // A window of the page's own origin that isn't the one around it.
  await page.frames()[1].evaluate((token) => postMessage({ type: 'vm:token', version: 1, token }, '*'), TOKEN);
  await page.evaluate(() => say({ type: 'vm:language', version: 1, language: 'fr' }));
  await inbox.getByText('En attente').waitFor();
  assert.equal(await inbox.locator('[data-row]').count(), 0);
  await page.close();
});

test('a page that is not named can frame neither the Inbox nor its page for frames', async () => {
  const elsewhere = `http://127.0.0.1:${stranger.address().port}`;
  // A desktop that may embed the page for frames may not frame the others.
  for (const [origin, path] of [[elsewhere, '/ui/embed/inbox'], [elsewhere, '/ui'], [otherSite, '/ui']]) {
    const page = await context.newPage();
    const said = [];
    page.on('console', (message) => said.push(message.text()));
    await page.goto(origin);
    await page.evaluate((src) => document.querySelector('main').append(Object.assign(document.createElement('iframe'), { src })), base + path);
    await until(() => said.some((text) => text.includes('frame-ancestors')), `${origin} is refused ${path}`);
    assert.ok(!page.frames().some((frame) => frame.url().startsWith(base)), `${origin} doesn’t show ${path}`);
    await page.close();
  }
});

test('a desktop of the same site needs no token: who signs in in a tab is signed in in the frame', async () => {
  const { page, inbox } = await embed(sameSite);
  await inbox.getByText('Waiting for your desktop').waitFor();
  const tab = await newPage(context, violations);
  await signIn(tab);
  await tab.close();
  await page.reload();
  await page.evaluate((src) => document.querySelector('main').append(Object.assign(document.createElement('iframe'), { src })), `${base}/ui/embed/inbox`);
  await inbox.locator('[data-row]').filter({ hasText: 'Ada Lovelace' }).waitFor();
  await page.close();
});

test('the element shows the count as it changes, and tells of a click', async () => {
  const page = await newPage(context, violations);
  await page.goto(otherSite);
  await page.evaluate(async (base) => {
    await import(`${base}/ui/mwi.js`);
    const element = document.createElement('voicemail-mwi');
    element.setAttribute('mailbox', '1001');
    element.setAttribute('label', '{count} new');
    element.addEventListener('vm:open', ({ detail }) => window.told.push({ type: 'opened', ...detail }));
    element.addEventListener('vm:need-token', () => window.told.push({ type: 'wanted' }));
    element.token = 'x.y.z';
    document.querySelector('main').append(element);
  }, base);
  await until(async () => (await told(page, 'wanted')).length > 0, 'a token that opens nothing is told');
  await page.evaluate((token) => (document.querySelector('voicemail-mwi').token = async () => token), TOKEN);
  const button = page.locator('voicemail-mwi button');
  await until(async () => (await button.textContent()) === '1 new', 'the count is there');
  await check(page, 'the element');
  await leave('1001', { name: 'Grace Hopper' });
  await until(async () => (await button.textContent()) === '2 new', 'the count follows');
  assert.equal(await page.evaluate(() => document.querySelector('voicemail-mwi').count), 2);
  await button.click();
  assert.deepEqual(await last(page, 'opened'), { type: 'opened', mailbox: '1001' });
  await page.close();
  // Whose pages aren't named can't even load it.
  const other = await context.newPage();
  await other.goto(`http://127.0.0.1:${stranger.address().port}`);
  assert.equal(await other.evaluate((url) => import(url).then(() => 'loaded', () => 'refused'), `${base}/ui/mwi.js`), 'refused');
  await other.close();
  assert.deepEqual(violations, []);
});
