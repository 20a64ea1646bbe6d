// An agent of a tenant in a cluster: signs in at the issuer that the tenant names, opens a mailbox, hears a message, and signs out.
import assert from 'node:assert/strict';
import { base, browse, newPage, steps, until } from './browser.mjs';

const violations = [];
let page;

const test = steps();

browse(async (context) => {
  page = await newPage(context, violations);
});

const signIn = () => page.getByRole('link', { name: 'Sign in with Acme' });

test('a click signs in at the issuer, and brings back to the mailbox', async () => {
  await page.goto(`${base}/ui/inbox/1001`);
  await signIn().click();
  await page.getByRole('heading', { level: 2, name: /1001/ }).waitFor();
  assert.equal(page.url(), `${base}/ui/inbox/1001`);
  await page.locator('.live', { hasText: '● Live' }).waitFor();
});

test('a message is heard', async () => {
  await page.locator('[data-row]').filter({ hasText: 'Ada Lovelace' }).click();
  await page.getByRole('button', { name: 'Play', exact: true }).click();
  await until(() => page.evaluate(() => document.querySelector('audio').currentTime > 0.3), 'it plays');
  await until(async () => /0 new/.test(await page.locator('[data-box="1001"]').textContent()), 'it counts as read');
});

test('whoever signs out is asked to sign in again, and nothing broke the policy', async () => {
  await page.getByRole('button', { name: 'Sign out' }).click();
  await until(() => page.url().includes('/session/end'), 'the issuer asks');
  await page.goto(`${base}/ui`);
  await signIn().waitFor();
  assert.deepEqual(violations, []);
});
