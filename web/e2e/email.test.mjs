// E-mails in a real browser: how one reads, how people choose what they tell, and the click that ends them.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { api, base, browse, checkEverywhere, newPage, signIn, steps } from './browser.mjs';

const { MAIL, UNSUBSCRIBE, PICTURES } = process.env;
const violations = [];
let context;
let page;

const test = steps();

browse(async (opened) => {
  context = opened;
  page = await newPage(context, violations);
});

const button = (name) => page.getByRole('button', { name, exact: true });
const chosen = async () => (await api('alice', '/me/email')).content;

test('a mail reads well in light and dark and on a small screen, and loads nothing', async () => {
  const asked = [];
  page.on('request', (request) => asked.push(request.url()));
  await page.setContent(readFileSync(MAIL, 'utf8'));
  await page.getByRole('heading', { name: 'New voicemail message' }).waitFor();
  await checkEverywhere(page, 'mail');
  await page.setViewportSize({ width: 640, height: 360 });
  if (PICTURES) await page.screenshot({ path: join(PICTURES, 'email.png'), animations: 'disabled' });
  await page.setViewportSize({ width: 1280, height: 800 });
  assert.deepEqual(asked.filter((url) => !url.startsWith('data:') && url !== 'about:blank'), []);
});

test('people choose that mails tell less, and can take it back', async () => {
  await signIn(page);
  await button('Settings').click();
  await page.getByText('to alice@example.com').waitFor();
  await checkEverywhere(page, 'settings with e-mails');
  const select = page.getByLabel('What they tell');
  const options = await select.locator('option').allTextContents();
  assert.deepEqual(options, ['As usual here: With caller and link', 'No e-mails', 'That there is a message', 'With the caller']);
  const when = page.getByLabel('When they come');
  assert.deepEqual((await when.locator('option').allTextContents()).slice(0, 3), ['As usual here: Each message by itself, at once', 'Each message by itself, at once', 'Together, 15 minutes after the first']);
  await select.selectOption('That there is a message');
  await when.selectOption('Together, 15 minutes after the first');
  await button('Save choice').click();
  await page.getByText('Your choice is saved.').waitFor();
  assert.equal(await chosen(), 'note');
  assert.equal((await api('alice', '/me/email')).digestMinutes, 15);
  await page.reload();
  await button('Settings').click();
  await page.getByText('to alice@example.com').waitFor();
  assert.equal(await select.inputValue(), 'note');
  assert.equal(await when.inputValue(), '15');
  await select.selectOption({ index: 0 });
  await when.selectOption({ index: 0 });
  await button('Save choice').click();
  await page.getByText('Your choice is saved.').waitFor();
  assert.equal(await chosen(), undefined);
});

test('the link in a mail asks first, and ends the mails by one click without signing in', async () => {
  await context.clearCookies();
  await page.goto(`${base}${UNSUBSCRIBE}`);
  await button('No more e-mails').waitFor();
  await checkEverywhere(page, 'unsubscribing');
  assert.equal(await chosen(), undefined);
  await button('No more e-mails').click();
  await page.getByText('No more e-mails about new messages are sent').waitFor();
  assert.equal(await chosen(), 'none');
  await signIn(page);
  await button('Settings').click();
  await page.getByLabel('What they tell').waitFor();
  assert.equal(await page.getByLabel('What they tell').inputValue(), 'none');
});

test('no page was refused anything by its policy', () => {
  assert.deepEqual(violations, []);
});
