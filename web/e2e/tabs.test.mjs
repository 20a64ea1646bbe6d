// Tabs of one person: they read one stream of events, and another tab takes over when the one that reads it is closed. Over HTTP/1.1 a
// browser has six connections to a host, and each stream costs the core memory.
import assert from 'node:assert/strict';
import { base, browse, leave, newPage, signIn, steps, until } from './browser.mjs';

const TABS = 8;
const violations = [];
/** Streams that are open, by the tab that reads them. */
const streams = [];
const pages = [];
let context;

const test = steps();

browse(async (opened) => {
  context = opened;
});

async function openTab() {
  const page = await newPage(context, violations);
  page.on('request', (request) => request.url().endsWith('/api/v1/mwi/events') && streams.push(page));
  return page;
}

const count = async (page) => Number(/(\d+) new/.exec(await page.locator('[data-box="2000"]').textContent())[1]);
const live = (page) => page.locator('.live', { hasText: '● Live' }).waitFor();

test('eight tabs read one stream', async () => {
  const first = await openTab();
  await signIn(first);
  await live(first);
  pages.push(first);
  while (pages.length < TABS) {
    const page = await openTab();
    await page.goto(`${base}/ui/inbox/2000`);
    await page.locator('[data-row]').first().waitFor();
    await live(page);
    pages.push(page);
  }
  assert.deepEqual(streams.map((page) => pages.indexOf(page)), [0]);
});

test('all of them count a message that comes, and when the one that reads is closed another one does', async () => {
  const counted = async (of) => {
    const before = await count(of[0]);
    await leave('2000');
    for (const page of of) await until(async () => (await count(page)) === before + 1, `tab ${pages.indexOf(page)} counts`);
  };
  await counted(pages);
  await pages[0].close();
  await until(() => streams.length === 2, 'another tab reads');
  await counted(pages.slice(1));
  assert.equal(streams.length, 2);
  assert.notEqual(streams[1], pages[0]);
  assert.deepEqual(violations, []);
});
