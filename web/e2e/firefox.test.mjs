// An agent's work in Firefox ESR: signs in, opens a mailbox, hears a message, deletes it and takes that back. Driven by Firefox's own
// protocol, WebDriver BiDi.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { pathToFileURL } from 'node:url';
import { answerLate, api, base, people, refusesMarkup, slow, steps, until } from './browser.mjs';

const { FIREFOX, FIREFOX_MODULES } = process.env;
const { default: puppeteer } = await import(pathToFileURL(createRequire(join(FIREFOX_MODULES, 'package.json')).resolve('puppeteer-core')));

const test = steps();
const problems = [];
const profile = mkdtempSync(join(tmpdir(), 'firefox-'));
let browser;
let page;

before(async () => {
  browser = await puppeteer.launch({
    browser: 'firefox',
    executablePath: FIREFOX,
    userDataDir: profile,
    // Its start may take long on a machine with much to do.
    timeout: 120_000,
    extraPrefsFirefox: { 'intl.accept_languages': 'en-GB', 'media.autoplay.default': 0 },
  });
  console.log(`Firefox ${await browser.version()}`);
  page = await browser.newPage();
  page.setDefaultTimeout(30_000);
  if (slow) await page.evaluateOnNewDocument(answerLate, slow);
  await page.setViewport({ width: 1280, height: 800 });
  page.on('pageerror', (error) => problems.push(`${error}`));
  page.on('console', (line) => line.type() === 'error' && problems.push(line.text()));
  await page.evaluateOnNewDocument(() => {
    window.violations = [];
    document.addEventListener('securitypolicyviolation', ({ effectiveDirective, blockedURI }) => window.violations.push(`${effectiveDirective} ${blockedURI}`));
  });
});

after(async () => {
  await browser?.close();
  rmSync(profile, { recursive: true, force: true });
});

const button = (name) => page.locator(`::-p-aria([name="${name}"][role="button"])`);
const row = (text) => page.locator(`[data-row] ::-p-text(${text})`);
const count = () => page.$eval('[data-box="1001"]', (box) => box.textContent);
const stateOf = async (caller) => (await api('alice', '/mailboxes/1001/messages')).messages.find(({ callerName }) => callerName === caller)?.state;

test('an agent signs in and sees the messages of a mailbox', async () => {
  await page.goto(`${base}/ui`);
  await page.locator('#name').fill('alice');
  await page.locator('#password').fill(people.alice);
  await button('Sign in').click();
  await row('Ada Lovelace').wait();
  await page.locator('.live ::-p-text(Live)').wait();
});

test('a message is heard, and counts as read', async () => {
  // A machine of tests has no sound. Firefox says so of what isn't muted, as it should, and plays no more of it.
  await page.evaluate(() => {
    const play = HTMLMediaElement.prototype.play;
    HTMLMediaElement.prototype.play = function () {
      this.muted = true;
      return play.call(this);
    };
  });
  await row('Ada Lovelace').click();
  await button('Play').click();
  // The element comes with the recording.
  const plays = () => {
    const audio = document.querySelector('audio');
    return audio?.currentTime > 0.3 && audio.duration > 5;
  };
  const shown = () => {
    const audio = document.querySelector('audio');
    return `it plays: ${audio?.src} ${audio?.error?.message} ${audio?.currentTime} of ${audio?.duration} s, ${document.querySelector('.player')?.textContent}`;
  };
  await until(() => page.evaluate(plays), () => page.evaluate(shown));
  await page.$eval('audio', (audio) => (audio.currentTime = audio.duration * 0.95));
  await until(async () => (await stateOf('Ada Lovelace')) === 'read', 'it is marked read');
  await until(async () => /2 new/.test(await count()), 'the count follows');
});

test('it is deleted, and that is taken back by a key', async () => {
  await button('Delete').click();
  await until(async () => (await stateOf('Ada Lovelace')) === undefined, 'it is in the trash');
  await button('Undo (z)').wait();
  await page.keyboard.press('z');
  await until(async () => (await stateOf('Ada Lovelace')) === 'read', 'it is back as it was');
  await row('Ada Lovelace').wait();
});

test('nothing broke the policy, under which Firefox makes no markup of text', async () => {
  assert.deepEqual(await page.evaluate(() => window.violations), []);
  assert.deepEqual(problems, []);
  assert.ok(await page.evaluate(refusesMarkup));
  await until(() => page.evaluate(() => window.violations.length > 0), 'it is noted');
});

test('after signing out there is no session, and no cookie', async () => {
  await button('Sign out').click();
  await page.locator('#password').wait();
  assert.equal(await page.evaluate(async () => (await fetch('/api/v1/me/mailboxes')).status), 401);
  assert.deepEqual(await page.cookies(), []);
});
