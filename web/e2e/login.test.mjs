// Signing in at an issuer by a click, and what other sites' pages can do with somebody who is signed in: nothing.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { base, browse, check, newPage, until } from './browser.mjs';

const violations = [];
let context;
let page;

browse(async (opened) => {
  context = opened;
  page = await newPage(context, violations);
});

const who = () => page.evaluate(async () => (await (await fetch('/api/v1/me')).json()).user);

test('what went wrong on the way is told, and goes from the address', async () => {
  await page.goto(`${base}/ui?problem=sign-in-failed`);
  await page.getByText('That didn’t work. Sign in again.').waitFor();
  assert.equal(page.url(), `${base}/ui`);
  assert.equal(await page.getByLabel('Password').count(), 0, 'no form where there are no passwords');
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ colorScheme });
    await check(page, `signing in at an issuer, ${colorScheme}`);
  }
});

test('a click signs in at the issuer, and brings back to the page that was wanted', async () => {
  await page.goto(`${base}/ui/inbox/1001`);
  await page.getByRole('link', { name: /^Sign in with/ }).first().click();
  await page.getByText('You have no mailbox yet.').waitFor();
  assert.equal(page.url(), `${base}/ui/inbox/1001`);
  assert.equal(await who(), 'alice');
  await check(page, 'without a mailbox');
});

test('a page of another site can neither frame the page nor use the session', async () => {
  const evil = await context.newPage();
  const html = `<!doctype html><title>x</title><iframe src="${base}/ui"></iframe>
    <form method="post" action="${base}/ui/session/logout" enctype="text/plain"><input name="{&quot;a&quot;:&quot;" value="&quot;}"></form>`;
  await evil.route('http://evil.example/', (route) => route.fulfill({ contentType: 'text/html', body: html }));
  await evil.goto('http://evil.example/');
  await until(() => evil.frames().length === 2 && evil.frames()[1].url().startsWith('chrome-error:'), 'the frame is refused');
  const read = await evil.evaluate(
    (url) => fetch(url, { credentials: 'include' }).then((answer) => answer.text()).catch(() => 'refused'),
    `${base}/api/v1/me`,
  );
  assert.equal(read, 'refused');
  await evil.evaluate(() => document.forms[0].submit());
  await until(() => evil.url().endsWith('/ui/session/logout'), 'the form was sent');
  assert.match(await evil.locator('body').textContent(), /not-from-own-page/);
  await evil.close();
  assert.equal(await who(), 'alice', 'who is signed in stays so');
  assert.deepEqual(violations, []);
});

test('signing out ends at the issuer, too', async () => {
  await page.getByRole('button', { name: 'Sign out' }).click();
  await until(() => page.url().includes('/session/end'), 'the issuer asks');
  await page.goto(`${base}/ui`);
  await page.getByRole('link', { name: /^Sign in with/ }).first().waitFor();
});
