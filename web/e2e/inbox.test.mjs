// The Inbox in a real browser: what an agent does, by mouse and by keys alone, and what the browser keeps of it.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { answerOf, api, base, browse, changeSession, checkEverywhere, intercept, leave, newPage, people, refusesMarkup, signIn, steps, until } from './browser.mjs';

const violations = [];
let context;
let page;

const test = steps();

const profile = browse(async (opened) => {
  context = opened;
  page = await newPage(context, violations);
});

const row = (text) => page.locator('[data-row]').filter({ hasText: text });
const box = (name) => page.locator(`[data-box="${name}"]`);
const button = (name) => page.getByRole('button', { name, exact: true });
const states = async (mailbox, state = '') => (await api('alice', `/mailboxes/${mailbox}/messages${state}`)).messages;
const stateOf = async (caller, mailbox = '1001') => (await states(mailbox)).find(({ callerName }) => callerName === caller)?.state;
const picture = async (name) => process.env.PICTURES && page.screenshot({ path: join(process.env.PICTURES, `${name}.png`), animations: 'disabled' });

const checkAll = (what) => checkEverywhere(page, what);
/** What waits for `end` goes on once it is released. */
function hold() {
  let release;
  const end = new Promise((done) => (release = done));
  return { end, release };
}

test('a wrong password says so, and a right one opens the mailboxes', async () => {
  await page.goto(`${base}/ui`);
  await page.getByLabel('Name').fill('alice');
  await page.getByLabel('Password').fill('wrong');
  await button('Sign in').click();
  await page.getByText('The name or the password is wrong.').waitFor();
  await checkAll('signing in');
  await signIn(page);
  await row('Ada Lovelace').waitFor();
  await page.getByText('no service').waitFor();
  assert.match(await box('1001').textContent(), /3 new/);
  assert.match(await box('2000').textContent(), /2 new/);
  await page.locator('.live', { hasText: '● Live' }).waitFor();
  await checkAll('list');
  await picture('inbox');
});

test('numbers are masked until they are asked for', async () => {
  assert.match(await row('Ada Lovelace').textContent(), /\+•+01/);
  await button('Show callers for 30 seconds').click();
  await page.getByText('+442079460101').waitFor();
  await button('Hide callers').click();
  assert.equal(await page.getByText('+442079460101').count(), 0);
});

test('a message is heard, and counts as read', async () => {
  await row('Ada Lovelace').click();
  await button('Play').waitFor();
  let duration;
  await until(async () => (duration = await page.evaluate(() => document.querySelector('audio').duration)) > 0, 'its length is known');
  assert.ok(duration > 5 && duration < 8, `${duration} s`);
  await page.locator('select').selectOption('2');
  await button('Play').click();
  await until(async () => (await page.evaluate(() => document.querySelector('audio').currentTime)) > 0.3, 'it plays');
  await checkAll('open message');
  await picture('message');
  await until(async () => (await stateOf('Ada Lovelace')) === 'read', 'it is marked read');
  await until(async () => /2 new/.test(await box('1001').textContent()), 'the count follows');
});

for (const coding of ['muLaw', 'aLaw', 'pcm']) {
  test(`a tone in ${coding} is played as that tone`, async () => {
    await box('2000').click();
    await row('Grace Hopper').waitFor();
    const { id } = await leave('2000', { name: `Tone in ${coding}`, coding });
    await row(`Tone in ${coding}`).click();
    await button('Play').waitFor();
    const frequency = await page.evaluate(async () => {
      const audio = document.querySelector('audio');
      const context = new AudioContext();
      const analyser = new AnalyserNode(context, { fftSize: 8192, smoothingTimeConstant: 0 });
      context.createMediaElementSource(audio).connect(analyser).connect(context.destination);
      audio.playbackRate = 1;
      await context.resume();
      await audio.play();
      while (audio.currentTime < 0.6) await new Promise((done) => setTimeout(done, 20));
      const bins = new Float32Array(analyser.frequencyBinCount);
      analyser.getFloatFrequencyData(bins);
      const loudest = bins.indexOf(Math.max(...bins));
      return { hertz: (loudest * context.sampleRate) / analyser.fftSize, decibels: bins[loudest] };
    });
    assert.ok(Math.abs(frequency.hertz - 440) < 20 && frequency.decibels > -30, JSON.stringify(frequency));
    await api('alice', `/mailboxes/2000/messages/${id}`, { method: 'DELETE' });
    await until(async () => (await row(`Tone in ${coding}`).count()) === 0, 'it is gone here, too');
  });
}

test('a recording of more than 10 MB is streamed by the element, and not fetched whole', async () => {
  const { id } = await leave('2000', { name: 'From a studio', seconds: 60 });
  await row('From a studio').click();
  await button('Play').waitFor();
  const audio = (read) => page.evaluate(read);
  await until(() => audio(() => Math.abs(document.querySelector('audio').duration - 60) < 0.1), 'its length is known');
  assert.match(await audio(() => document.querySelector('audio').src), /\/api\/v1\/.*codec=pcm16$/);
  await button('Play').click();
  await until(() => audio(() => document.querySelector('audio').currentTime > 0.3), 'it plays');
  await page.getByRole('slider', { name: 'Position' }).fill('55');
  await until(() => audio(() => document.querySelector('audio').currentTime > 55.2), 'it goes on where it is wanted');
  await checkAll('streamed message');
  await until(async () => (await stateOf('From a studio', '2000')) === 'read', 'it is marked read');
  await button('Delete').click();
  await until(async () => (await states('2000', '?state=trashed')).some((message) => message.id === id), 'it is in the trash');
});

test('an open message that is deleted elsewhere is gone', async () => {
  const { id } = await leave('2000', { name: 'Soon gone' });
  await row('Soon gone').click();
  await button('Play').click();
  await until(async () => (await states('2000')).find((message) => message.id === id)?.state === 'read', 'it is marked read');
  await api('alice', `/mailboxes/2000/messages/${id}`, { method: 'DELETE' });
  await until(async () => (await row('Soon gone').count()) === 0, 'it is gone');
  assert.equal(await button('Play').count(), 0);
});

test('the late answer to a change brings back nothing that is gone', async () => {
  const { id } = await leave('2000', { name: 'Changed late' });
  await row('Changed late').click();
  await button('Play').waitFor();
  const late = hold();
  let listed = false;
  const letPass = await intercept(page, /\/mailboxes\/2000\/messages/, async (route) => {
    const response = await answerOf(route);
    if (route.request().method() === 'PATCH') await late.end;
    await route.fulfill({ response }).catch(() => {}); // A list isn't waited for once there is reason to ask again.
    listed ||= route.request().url().includes('/messages?') && response.status() === 200 && !(await response.text()).includes(id);
  });
  await button('Save').click();
  await until(async () => (await states('2000')).find((message) => message.id === id)?.state === 'saved', 'it is saved');
  await api('alice', `/mailboxes/2000/messages/${id}`, { method: 'DELETE' });
  await until(() => listed, 'a list comes without it');
  late.release();
  await until(async () => (await row('Changed late').count()) === 0, 'it is gone');
  await letPass();
});

test('a list that was asked for before a change takes nothing back', async () => {
  const { id } = await leave('2000', { name: 'Saved meanwhile' });
  const other = await newPage(context, violations);
  // What tells of the change would have the list asked for again anyway.
  await other.route('**/api/v1/mwi/events', (route) => route.abort());
  await other.addInitScript(() => (window.BroadcastChannel = class { postMessage() {} close() {} }));
  await other.goto(`${base}/ui/inbox/2000/${id}`);
  const action = (name) => other.getByRole('button', { name, exact: true });
  await action('Save').waitFor();
  const late = hold();
  let lists = 0;
  await intercept(other, '**/api/v1/mailboxes/2000/messages?*', async (route) => {
    const response = await answerOf(route);
    if (lists++ === 0) await late.end;
    await route.fulfill({ response });
  });
  await other.evaluate(() => dispatchEvent(new Event('online')));
  await until(() => lists === 1, 'the list is asked for');
  const saved = other.waitForResponse((answer) => answer.request().method() === 'PATCH');
  await action('Save').click();
  await (await saved).finished();
  late.release();
  await until(() => lists === 2, 'it is asked for again');
  await action('Don’t keep').waitFor();
  assert.equal(await action('Save').count(), 0);
  await other.close();
  await api('alice', `/mailboxes/2000/messages/${id}`, { method: 'DELETE' });
});

test('a page of messages that was opened stays when one comes and when one goes', async () => {
  const other = await newPage(context, violations);
  // One message a page: no mailbox here holds a hundred.
  await other.route('**/api/v1/mailboxes/2000/messages?*', (route) => route.continue({ url: route.request().url().replace('limit=100', 'limit=1') }));
  await other.goto(`${base}/ui/inbox/2000`);
  const rows = other.locator('[data-row]');
  const shown = () => until(async () => (await rows.count()) === 2, async () => `two pages of one message, and not ${await rows.count()}`);
  await other.getByRole('button', { name: 'Show more' }).click();
  await shown();
  const { id } = await leave('2000', { name: 'Comes meanwhile' });
  const came = rows.filter({ hasText: 'Comes meanwhile' });
  await came.waitFor();
  await shown();
  await api('alice', `/mailboxes/2000/messages/${id}`, { method: 'DELETE' });
  await until(async () => (await came.count()) === 0, 'it goes');
  await shown();
  await other.close();
});

test('saved, deleted and undone by mouse', async () => {
  await box('1001').click();
  await row('Ada Lovelace').click();
  await button('Save').click();
  await until(async () => (await stateOf('Ada Lovelace')) === 'saved', 'it is saved');
  await button('Delete').click();
  await until(async () => (await states('1001', '?state=trashed')).length === 1, 'it is in the trash');
  assert.equal(await row('Ada Lovelace').count(), 0);
  await button('Undo (z)').click();
  await until(async () => (await stateOf('Ada Lovelace')) === 'saved', 'it is back as it was');
  await row('Ada Lovelace').waitFor();
  await button('Trash').click();
  await page.getByText('No messages here.').waitFor();
  await checkAll('empty trash');
  await button('All').click();
});

test('every task goes without a mouse', async () => {
  await page.goto(`${base}/ui`);
  await row('Ada Lovelace').waitFor();
  await page.keyboard.press('Tab');
  assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Skip to messages');
  await page.keyboard.press('Enter');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'messages');
  const onRow = () => page.evaluate(() => document.activeElement.dataset.row);
  for (let tabs = 0; !(await onRow()); tabs++) {
    assert.ok(tabs < 12, 'the list is reached by Tab');
    await page.keyboard.press('Tab');
  }
  const first = await onRow();
  await page.keyboard.press('j');
  await until(async () => (await onRow()) !== first, 'j goes to the next');
  await page.keyboard.press('ArrowUp');
  await until(async () => (await onRow()) === first, 'the arrow goes back');
  await page.keyboard.press('m');
  await until(async () => (await states('1001'))[0].state === 'read', 'm marks as read');
  await page.keyboard.press('m');
  await until(async () => (await states('1001'))[0].state === 'new', 'm marks as new again');
  await page.keyboard.press(' ');
  await until(() => page.evaluate(() => document.querySelector('audio')?.currentTime > 0.2), 'space plays');
  assert.equal(await onRow(), first, 'focus stays');
  await page.keyboard.press(' ');
  await until(() => page.evaluate(() => document.querySelector('audio').paused), 'space pauses');
  const at = await page.evaluate(() => document.querySelector('audio').currentTime);
  await page.keyboard.press('ArrowRight');
  await until(async () => (await page.evaluate(() => document.querySelector('audio').currentTime)) > at + 1, 'right goes ahead');
  await page.keyboard.press('<');
  await until(() => page.evaluate(() => document.querySelector('audio').playbackRate < 2), '< is slower');
  await page.keyboard.press('s');
  await until(async () => (await states('1001'))[0].state === 'saved', 's saves');
  await page.keyboard.press('v');
  await page.getByText('+442079460101').waitFor();
  await page.keyboard.press('#');
  await until(async () => (await states('1001', '?state=trashed')).length === 1, '# deletes');
  await until(async () => (await onRow()) && (await onRow()) !== first, 'the next row has the focus');
  await page.keyboard.press('z');
  await until(async () => (await states('1001', '?state=trashed')).length === 0, 'z undoes');
  await page.keyboard.press('?');
  await page.getByRole('dialog').waitFor();
  await checkAll('keys');
  await page.keyboard.press('Escape');
  await until(async () => (await page.getByRole('dialog').count()) === 0, 'the dialog closes');
});

test('changes of one message are asked for in the order in which they were made', async () => {
  await box('1001').click();
  await row('Ada Lovelace').focus();
  const [asked, answered] = [[], []];
  // The first one is slow: another one that didn't wait for it would overtake it.
  const letPass = await intercept(page, '**/api/v1/mailboxes/1001/messages/*', async (route) => {
    const isFirst = asked.push(JSON.parse(route.request().postData()).state) === 1;
    if (isFirst) await new Promise((done) => setTimeout(done, 1_000));
    await route.fulfill({ response: await route.fetch() });
    answered.push(asked.length);
  });
  await page.keyboard.press('m');
  await page.keyboard.press('s');
  const seen = async () => JSON.stringify({ asked, answered, focus: await page.evaluate(() => document.activeElement.outerHTML.slice(0, 200)) });
  await until(() => answered.length >= 2, async () => `two answers, and not ${await seen()}`);
  assert.deepEqual([asked, answered], [['new', 'saved'], [1, 2]], 'the second one waits for the first');
  assert.equal(await stateOf('Ada Lovelace'), 'saved');
  await letPass();
});

test('what a filter hides once it is changed can be undone', async () => {
  await button('Saved').click();
  await row('Ada Lovelace').focus();
  await page.keyboard.press('m');
  await until(async () => (await stateOf('Ada Lovelace')) === 'new' && (await row('Ada Lovelace').count()) === 0, 'it is new');
  await page.keyboard.press('z');
  await row('Ada Lovelace').waitFor();
  await until(async () => (await stateOf('Ada Lovelace')) === 'saved', 'it is saved again');
  await button('All').click();
});

test('a claim shows who has it, to everybody', async () => {
  await box('2000').click();
  await row('Grace Hopper').click();
  await button('Claim').click();
  await row('Claimed by you').waitFor();
  const first = async () => (await api('bob', '/mailboxes/2000/messages')).messages[0];
  await until(async () => (await first()).claimedBy === 'alice', 'others see who has it');
  await api('bob', `/mailboxes/2000/messages/${(await first()).id}/claim`, { method: 'PUT', json: { takeOver: true } });
  await button('Release').click();
  await page.getByText('Somebody else deals with this message.').waitFor();
  await row('Claimed by bob').waitFor();
});

test('a message is forwarded, and a mailbox that takes none says why', async () => {
  await box('1001').click();
  await row('Ada Lovelace').focus();
  await page.keyboard.press('f');
  const dialog = page.getByRole('dialog', { name: 'Forward the message' });
  const offered = () => dialog.locator('option').evaluateAll((options) => options.map(({ value, textContent }) => [value, textContent]));
  await dialog.getByLabel('To mailboxes').fill('2000, 10');
  await until(async () => (await offered()).some(([value]) => value === '2000, 1002'), async () => `the directory offers 1002, and not ${JSON.stringify(await offered())}`);
  await dialog.getByLabel('To mailboxes').fill('1002, 9999');
  await until(async () => (await offered()).length === 0, 'nothing is offered for a name that nobody has');
  await checkAll('forward');
  await page.keyboard.press('Enter');
  await dialog.getByText('9999: There is no such mailbox').waitFor();
  assert.equal(await dialog.getByLabel('To mailboxes').inputValue(), '9999');
  await page.keyboard.press('Escape');
  await page.getByText('Forwarded to 1002.').waitFor();
  const { messages } = await api('bob', '/mailboxes/1002/messages');
  assert.equal(messages.filter(({ forwardedFrom }) => forwardedFrom?.by === 'alice').length, 1);
});

test('a greeting is recorded, trimmed, heard and removed; PIN and preferences are set', async () => {
  await button('Settings').click();
  await page.getByText('There is none of your own.').waitFor();
  await checkAll('settings');
  await button('Record').click();
  await until(async () => Number(await page.locator('meter').getAttribute('value')) > 0.01, 'something comes in');
  await until(async () => /0:0[2-9]/.test(await page.locator('section', { hasText: 'Greeting' }).first().textContent()), 'two seconds pass');
  await button('Stop').click();
  const slider = (name) => page.getByRole('slider', { name });
  const lasts = (seconds) => until(() => page.evaluate((wanted) => Math.abs(document.querySelector('audio')?.duration - wanted) < 0.05, seconds), `${seconds} s of it are left`);
  await slider('Ends at').fill('0.6');
  await slider('Begins at').fill('0.4');
  await lasts(0.5);
  assert.match(await slider('Ends at').getAttribute('aria-valuetext'), /^0.9 seconds$/);
  await slider('Begins at').fill('0');
  await slider('Ends at').press('ArrowLeft');
  await lasts(0.8);
  await checkAll('trimming');
  await button('Use this').click();
  await page.getByText('The greeting is in force.').waitFor();
  const greetings = async () => (await api('alice', '/mailboxes/1001/greetings')).greetings;
  const [{ kind, durationMs, codec }] = await greetings();
  assert.ok(kind === 'standard' && Math.abs(durationMs - 800) < 50 && codec === 'pcm16', JSON.stringify(await greetings()));
  await button('Listen').click();
  await until(() => page.evaluate(() => document.querySelector('audio')?.duration > 0.4), 'it can be heard');
  await button('Remove').click();
  await page.getByText('The greeting is removed.').waitFor();
  assert.deepEqual(await greetings(), []);
  const pin = async () => (await api('alice', '/me/mailboxes')).mailboxes[0].pin.set;
  const enter = async (first, second) => {
    await page.getByLabel('New PIN').fill(first);
    await page.getByLabel('Again').fill(second);
    await button('Set PIN').click();
  };
  await enter('739154', '739155');
  await page.getByText('The two PINs differ.').waitFor();
  await enter('123456', '123456');
  await page.getByText('Use 6 to 10 digits that nobody guesses').waitFor();
  assert.equal(await pin(), false);
  await enter('739154', '739154');
  await page.getByText('The PIN is set.').waitFor();
  assert.equal(await pin(), true);
  assert.equal(await page.getByLabel('New PIN').inputValue(), '');
  await page.getByLabel('Language of prompts').fill('de-DE');
  await page.getByLabel('Time zone').selectOption('Europe/Berlin');
  await button('Save preferences').click();
  await page.getByText('The preferences are saved.').waitFor();
  assert.deepEqual(await api('alice', '/mailboxes/1001/preferences'), { language: 'de-DE', timeZone: 'Europe/Berlin' });

  // Somebody else sets them meanwhile: that is shown, and nothing is undone unseen.
  await api('alice', '/mailboxes/1001/preferences', { method: 'PUT', json: { language: 'fr-FR' } });
  await page.getByLabel('Language of prompts').fill('it-IT');
  await button('Save preferences').click();
  await page.getByText('Somebody else changed these settings meanwhile.').waitFor();
  assert.equal(await page.getByLabel('Language of prompts').inputValue(), 'fr-FR');
  assert.deepEqual(await api('alice', '/mailboxes/1001/preferences'), { language: 'fr-FR' });
  await page.getByLabel('Language of prompts').fill('it-IT');
  await button('Save preferences').click();
  await page.getByText('The preferences are saved.').waitFor();
  assert.deepEqual(await api('alice', '/mailboxes/1001/preferences'), { language: 'it-IT' });
  await picture('settings');
});

test('a message that comes is seen at once, and its name stays text', async () => {
  await box('1001').click();
  await row('Ada Lovelace').waitFor();
  const name = '<img src=x onerror="document.title=1"><script>document.title=2</script>';
  await leave('1001', { caller: '+442079460777', name });
  await row('<img src=x').waitFor();
  assert.ok((await row('<img src=x').textContent()).includes(name));
  assert.equal(await page.locator('main img').count(), 0);
  assert.equal(await page.title(), 'Voicemail');
});

test('the first row is there within 1.5 s on a slow machine, and a deposit counts within a second', async () => {
  const slow = await context.newCDPSession(page);
  await slow.send('Emulation.setCPUThrottlingRate', { rate: 4 });
  // The best of up to ten: what else the machine does isn't the page's.
  const best = async (most, measure) => {
    let least = Infinity;
    for (let tries = 0; tries < 10 && least > most; tries++) least = Math.min(least, await measure());
    return least;
  };
  const first = await best(1_500, async () => {
    const began = Date.now();
    await page.goto(`${base}/ui/inbox/1001`);
    await row('Ada Lovelace').waitFor();
    return Date.now() - began;
  });
  await slow.send('Emulation.setCPUThrottlingRate', { rate: 1 });
  assert.ok(first <= 1_500, `${first} ms to the first row, at best`);
  const count = async () => Number(/(\d+) new/.exec(await box('2000').textContent())[1]);
  const before = await count();
  const counted = await best(1_000, async () => {
    const { id } = await leave('2000');
    const began = Date.now();
    await until(async () => (await count()) === before + 1, 'the count rises');
    const took = Date.now() - began;
    await api('alice', `/mailboxes/2000/messages/${id}`, { method: 'DELETE' });
    await until(async () => (await count()) === before, 'and falls');
    return took;
  });
  assert.ok(counted <= 1_000, `${counted} ms to the count, at best`);
  console.log(`first row ${first} ms, count ${counted} ms`);
});

test('markup from text is refused by the browser itself', async () => {
  const before = violations.length;
  assert.ok(await page.evaluate(refusesMarkup));
  await until(() => violations.length > before, 'it is noted');
  violations.splice(before);
});

test('a page that nobody uses shows counts alone until somebody comes back', async () => {
  const left = await newPage(context, violations);
  await left.clock.install();
  // The machine's time hardly goes on while the page's does.
  await changeSession(left, (answer) => ({ ...answer, session: { ...answer.session, secondsLeft: 30 } }));
  await left.goto(`${base}/ui/inbox/1001`);
  await left.locator('[data-row]').first().waitFor();
  const renewed = left.waitForRequest((request) => request.url().endsWith('/ui/session/renew?idle=true'));
  await left.clock.fastForward(31 * 60_000);
  await left.getByText('Nobody has used this page for a while.').waitFor();
  assert.equal(await left.locator('[data-row]').count(), 0);
  assert.match(await left.locator('[data-box="1001"]').textContent(), /\d new/);
  await renewed;
  await checkEverywhere(left, 'unused');
  const again = left.waitForRequest((request) => request.url().endsWith('/ui/session/renew?idle=false'));
  await left.getByRole('button', { name: 'Show messages' }).click();
  await left.locator('[data-row]').first().waitFor();
  await again;
  await left.close();
});

for (const [masked, seen, hidden] of [['all', '+•', 'Ada Lovelace'], ['never', '+442079460101', '•']]) {
  test(`callers are masked as the tenant wants it: ${masked}`, async () => {
    const other = await newPage(context, violations);
    await changeSession(other, (answer) => ({ ...answer, maskCallers: masked }));
    await other.goto(`${base}/ui/inbox/1001`);
    await other.locator('[data-row]').filter({ hasText: seen }).first().waitFor();
    assert.ok(!(await other.locator('main').textContent()).includes(hidden));
    const show = other.getByRole('button', { name: 'Show callers for 30 seconds' });
    assert.equal(await show.count(), masked === 'never' ? 0 : 1);
    if (masked === 'all') {
      await show.click();
      await other.locator('[data-row]').filter({ hasText: 'Ada Lovelace' }).waitFor();
    }
    await other.close();
  });
}

test('offline it says so, takes a change back, and comes back by itself', async () => {
  await context.setOffline(true);
  await until(() => page.evaluate(() => fetch('/').then(() => false, () => true)), 'no request gets through');
  await row('Ada Lovelace').click();
  await page.locator('li.open').getByRole('button', { name: /Mark as new/ }).click();
  await page.getByText('You seem to be offline.').first().waitFor();
  assert.equal(await stateOf('Ada Lovelace'), 'saved');
  await page.locator('li.open').getByText('Saved').first().waitFor();
  await checkAll('offline');
  await context.setOffline(false);
  // All that can be tried again is; what remains says why the change was taken back.
  await until(async () => (await button('Try again').count()) === 0, 'list and recording are there again');
  await button('Play').waitFor();
  assert.equal(await page.getByText('You seem to be offline.').count(), 1);
});

test('a part that fails says so, and is tried again', async () => {
  const letPass = await intercept(page, '**/api/v1/mailboxes/1001/messages?*', (route) => route.fulfill({ status: 500, contentType: 'application/problem+json', body: '{"type":"/problems/internal"}' }));
  await page.goto(`${base}/ui/inbox/1001`);
  await page.getByText('Something went wrong. Try again.').waitFor();
  await checkAll('failed');
  await letPass();
  await button('Try again').click();
  await row('Ada Lovelace').waitFor();
});

test('nothing broke the policy, no address or title names anybody', async () => {
  assert.deepEqual(violations, []);
  const kept = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, location.href, document.title, document.cookie]));
  for (const personal of ['Ada', '4420', people.alice, 'RIFF']) assert.ok(!kept.includes(personal), `${personal}: ${kept}`);
});

test('after signing out neither page nor disk has anything', async () => {
  const cookies = (await context.cookies(`${base}/ui/session`)).map(({ name, value, httpOnly, secure, sameSite }) => ({ name, value, httpOnly, secure, sameSite }));
  assert.deepEqual(cookies.map(({ name }) => name).sort(), ['__Host-Http-vm', '__Secure-Http-vm-refresh']);
  assert.ok(cookies.every(({ httpOnly, secure, sameSite }) => httpOnly && secure && sameSite === 'Strict'), JSON.stringify(cookies));
  await button('Sign out').click();
  await page.getByLabel('Password').waitFor();
  assert.deepEqual(await context.cookies(`${base}/ui/session`), []);
  assert.equal(await page.evaluate(async () => (await fetch('/api/v1/me/mailboxes')).status), 401);
  await context.close();
  const audio = readFileSync(process.env.RECORDING).subarray(400, 432);
  const personal = ['Ada Lovelace', 'Grace Hopper', '442079460101', '442079460777', '739154', people.alice, ...cookies.map(({ value }) => value.slice(0, 40))];
  const needles = [...personal.flatMap((text) => [Buffer.from(text), Buffer.from(text, 'utf16le')]), audio];
  let files = 0;
  let visited = 0;
  for (const file of readdirSync(profile, { recursive: true }).map((name) => join(profile, name))) {
    if (!statSync(file, { throwIfNoEntry: false })?.isFile()) continue;
    files += 1;
    const bytes = readFileSync(file);
    if (bytes.includes(new URL(base).host)) visited += 1;
    for (const needle of needles) assert.ok(!bytes.includes(needle), `${file} has ${needle}`);
  }
  // What is kept of a page that was visited is found in this way.
  assert.ok(files > 20 && visited > 0, `${visited} of ${files} files`);
});
