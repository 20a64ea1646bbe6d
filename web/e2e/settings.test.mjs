// When a mailbox's alternate greeting is played: set in a real browser, by keys alone and by mouse.
import assert from 'node:assert/strict';
import { api, browse, checkEverywhere, newPage, signIn, steps } from './browser.mjs';

const violations = [];
let page;

const test = steps();

browse(async (context) => {
  page = await newPage(context, violations);
});

const PATH = '/mailboxes/1001/greetings/alternate/schedule';
const OFFICE_DAYS = ['monday', 'tuesday', 'wednesday', 'thursday', 'friday'];
const schedule = () => api('alice', PATH);
const button = (name) => page.getByRole('button', { name, exact: true });
const group = (name) => page.getByRole('group', { name });
const saved = () => page.getByText('The times are saved.').waitFor();
const focused = () => page.evaluate(() => document.activeElement.closest('label')?.textContent.trim());

test('without a schedule the alternate greeting is played always', async () => {
  await signIn(page);
  await button('Settings').click();
  await page.getByRole('radio', { name: 'Always' }).waitFor();
  assert.ok(await page.getByRole('radio', { name: 'Always' }).isChecked());
  assert.equal(await schedule(), undefined);
  await checkEverywhere(page, 'no schedule');
});

test('nights and holidays are set without a mouse', async () => {
  await page.getByRole('radio', { name: 'Always' }).focus();
  await page.keyboard.press('ArrowDown');
  await group('Times 1').getByText('Ends on the next day').waitFor();
  assert.deepEqual(await group('Times 1').getByRole('checkbox', { checked: true }).evaluateAll((all) => all.map(({ value }) => value)), OFFICE_DAYS);
  await button('Add days').focus();
  await page.keyboard.press('Enter');
  await group('Days 1').waitFor();
  assert.equal(await focused(), 'First day', 'what was added has the focus');
  // The same whichever of day and month the browser has first.
  await page.keyboard.type('11112026');
  await group('Days 1').getByLabel('Last day').focus();
  await page.keyboard.type('12122026');
  await checkEverywhere(page, 'schedule');
  await page.keyboard.press('Enter');
  await saved();
  assert.deepEqual(await schedule(), {
    weekly: [{ days: OFFICE_DAYS, from: '18:00:00', to: '08:00:00' }],
    dates: [{ from: '2026-11-11', to: '2026-12-12' }],
  });
});

test('another window of the week is added, and one is removed', async () => {
  await button('Add times of the week').click();
  for (const day of ['Mon', 'Tue', 'Wed', 'Thu', 'Fri']) await group('Times 2').getByLabel(day).uncheck();
  await button('Save times').click();
  await page.getByText('Choose at least one day for each of the times.').waitFor();
  assert.equal((await schedule()).weekly.length, 1, 'nothing was sent');
  await group('Times 2').getByLabel('Sat').check();
  await group('Times 2').getByLabel('From').fill('12:30');
  await group('Times 2').getByLabel('To').fill('20:00');
  await button('Save times').click();
  await saved();
  assert.deepEqual((await schedule()).weekly[1], { days: ['saturday'], from: '12:30:00', to: '20:00:00' });
  await group('Times 1').getByRole('button', { name: 'Remove' }).click();
  assert.equal(await group('Times 1').getByLabel('From').inputValue(), '12:30');
  await button('Save times').click();
  await saved();
  assert.deepEqual((await schedule()).weekly.map(({ days }) => days), [['saturday']]);
});

test('a last day before the first isn’t sent', async () => {
  await group('Days 1').getByLabel('Last day').fill('2026-11-10');
  await button('Save times').click();
  assert.ok(await group('Days 1').getByLabel('Last day').evaluate((input) => input.validity.rangeUnderflow && input === document.activeElement));
  assert.deepEqual((await schedule()).dates, [{ from: '2026-11-11', to: '2026-12-12' }]);
});

test('what somebody else set meanwhile is shown, and not undone unseen', async () => {
  const theirs = { weekly: [], dates: [{ from: '2027-01-01', to: '2027-01-01' }] };
  await api('alice', PATH, { method: 'PUT', json: theirs });
  await group('Days 1').getByLabel('Last day').fill('2026-12-31');
  await button('Save times').click();
  await page.getByText('Somebody else changed these settings meanwhile.').waitFor();
  assert.equal(await group('Days 1').getByLabel('First day').inputValue(), '2027-01-01');
  assert.deepEqual(await schedule(), theirs);
});

test('times with nothing in them aren’t taken, and always is', async () => {
  await group('Days 1').getByRole('button', { name: 'Remove' }).click();
  assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Add days', 'focus goes to what adds again');
  await button('Save times').click();
  await page.getByText('Add times or days, or choose Always.').waitFor();
  await page.getByRole('radio', { name: 'Always' }).check();
  await button('Save times').click();
  await saved();
  assert.equal(await schedule(), undefined);
  assert.deepEqual(violations, []);
});
