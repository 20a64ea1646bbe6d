// The screens as a reader tells them, compared with what was written down, and with the colours of the system in place of the page's. Nothing
// is changed here. `SNAPSHOTS=write` writes down what is told now; whoever does it reads the difference.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { base, browse, newPage, settled, signIn, steps, until } from './browser.mjs';

const violations = [];
let page;

const test = steps();

browse(async (context) => {
  page = await newPage(context, violations);
});

const SNAPSHOTS = join(import.meta.dirname, 'snapshots');
const button = (name) => page.getByRole('button', { name, exact: true });

/** What a reader is told, without what differs from one day to the next. */
async function told() {
  const text = await page.locator('body').ariaSnapshot();
  const moments = /(Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day[, ].*? at \d\d:\d\d|(\d\d\/\d\d\/\d{4}, )?\b\d\d:\d\d\b/g;
  // The browser knows which time zones there are.
  const zones = /^ *- option "\w+\/.*\n/gm;
  return `${text}\n`.replace(moments, 'MOMENT').replace(zones, '');
}

/** What a page tells until all its parts are there is no screen. */
async function compare(name) {
  await settled(page);
  const file = join(SNAPSHOTS, `${name}.yaml`);
  if (process.env.SNAPSHOTS === 'write') return writeFileSync(file, await told());
  const written = readFileSync(file, 'utf8');
  let found;
  const differs = () => assert.equal(found, written, `${file} differs: SNAPSHOTS=write writes it anew`);
  await until(async () => (found = await told()) === written, differs);
}

/** In a page: controls that nobody sees where the system's colours hold, and chosen ones that look like the others. */
function findUnseen() {
  const light = (colour) => {
    const parts = colour.match(/[\d.]+/g).map(Number);
    if (parts[3] === 0) return undefined;
    const [red, green, blue] = parts.map((part) => (part / 255 <= 0.04045 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const contrast = (one, other) => {
    const [a, b] = [light(one), light(other)];
    return a === undefined || b === undefined ? 1 : (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) if (light(getComputedStyle(at).backgroundColor) !== undefined) return getComputedStyle(at).backgroundColor;
    return getComputedStyle(document.documentElement).backgroundColor;
  };
  const shown = (element) => element.checkVisibility({ visibilityProperty: true }) && !element.closest('.unseen, .skip');
  const all = [...document.querySelectorAll('button, select, input, a[href], summary')].filter(shown);
  const problems = [];
  const tell = (element, what) => problems.push(`${what}: ${element.outerHTML.slice(0, 120)}`);
  for (const element of all) {
    const style = getComputedStyle(element);
    const ground = behind(element.parentElement);
    const isDrawnByBrowser = ['range', 'checkbox', 'radio', 'file'].includes(element.type);
    const bordered = parseFloat(style.borderTopWidth) > 0 && contrast(style.borderTopColor, ground) >= 3;
    const filled = contrast(behind(element), ground) >= 3;
    if (!isDrawnByBrowser && element.localName !== 'a' && !bordered && !filled) tell(element, 'no border is seen');
    if (!isDrawnByBrowser && contrast(style.color, behind(element)) < 4.5) tell(element, 'its text isn’t read');
    element.focus({ focusVisible: true });
    const focused = getComputedStyle(element);
    // Inside or outside of it, by where the ring is drawn.
    const under = parseFloat(focused.outlineOffset) < 0 ? behind(element) : ground;
    if (element === document.activeElement && (focused.outlineStyle === 'none' || parseFloat(focused.outlineWidth) < 2 || contrast(focused.outlineColor, under) < 3)) tell(element, 'its focus isn’t seen');
  }
  const isChosen = (element) => element.matches('[aria-pressed="true"], [aria-current]');
  for (const element of all.filter(isChosen)) {
    const other = all.find((one) => one !== element && !isChosen(one) && one.hasAttribute('aria-pressed') === element.hasAttribute('aria-pressed') && one.className.includes('box') === element.className.includes('box'));
    if (other && contrast(behind(element), behind(other)) < 3) tell(element, 'it looks like what isn’t chosen');
  }
  return { count: all.length, problems };
}

async function checkForced(what) {
  for (const colorScheme of ['light', 'dark']) {
    await page.emulateMedia({ forcedColors: 'active', colorScheme });
    assert.ok(await page.evaluate(() => matchMedia('(forced-colors: active)').matches));
    const { count, problems } = await page.evaluate(findUnseen);
    assert.ok(count > 2, `${what} has ${count} controls`);
    assert.deepEqual(problems, [], `${what}, ${colorScheme}`);
  }
  await page.emulateMedia({ forcedColors: 'none', colorScheme: 'light' });
}

async function screen(name) {
  await compare(name);
  await checkForced(name);
}

test('signing in', async () => {
  await page.goto(`${base}/ui`);
  await button('Sign in').waitFor();
  await screen('sign-in');
});

test('the list of messages', async () => {
  await signIn(page);
  await page.locator('[data-row]').nth(2).waitFor();
  await page.locator('.live', { hasText: '● Live' }).waitFor();
  await screen('list');
});

test('an open message', async () => {
  await page.locator('[data-row]').filter({ hasText: 'Ada Lovelace' }).click();
  await button('Play').waitFor();
  await until(() => page.evaluate(() => document.querySelector('audio')?.duration > 0), 'its length is known');
  await screen('message');
});

test('the keys', async () => {
  await button('Keys').click();
  await page.getByRole('dialog').waitFor();
  await compare('keys');
  await page.keyboard.press('Escape');
});

test('the settings', async () => {
  await button('Settings').click();
  await page.getByText('There is none of your own.').waitFor();
  await screen('settings');
  assert.deepEqual(violations, []);
});
