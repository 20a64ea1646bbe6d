// Words, by key, in the language of the browser; times and lengths as it writes them.
import type en from '../messages/en.json';

export type Key = keyof typeof en;
type Words = Record<Key, string>;

const LANGUAGES: Record<string, () => Promise<{ default: Words }>> = {
  en: () => import('../messages/en.json'),
  de: () => import('../messages/de.json'),
  fr: () => import('../messages/fr.json'),
  es: () => import('../messages/es.json'),
  it: () => import('../messages/it.json'),
};

let words: Words = $state({} as Words);
/** The language with its region: dates are written otherwise in London than in New York. */
let locale = $state('en');

/** Loads the first of the browser's languages that there is, or the one that is wanted before them. */
export async function start(wanted?: string) {
  const of = (tag: string) => tag.split('-')[0] ?? '';
  const tags = wanted === undefined ? navigator.languages : [wanted, ...navigator.languages];
  locale = tags.find((tag) => of(tag) in LANGUAGES && isTag(tag)) ?? 'en';
  const language = of(locale);
  words = (await (LANGUAGES[language] ?? LANGUAGES.en!)()).default;
  document.documentElement.lang = language;
}

/** Whether dates can be written in it. */
function isTag(tag: string): boolean {
  try {
    return Intl.getCanonicalLocales(tag).length === 1;
  } catch {
    return false;
  }
}

/** The words of a key, with `{name}` filled in. */
export function t(key: Key, values: Record<string, string | number> = {}): string {
  const text = words[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (_, name: string) => String(values[name] ?? ''));
}

/** What a problem means for whoever uses the page. */
export function explain(kind: string): string {
  const key = `problem.${kind}` as Key;
  return words[key] ?? t('problem.other');
}

/** Today the time, else the date too. */
export function when(moment: string): string {
  const date = new Date(moment);
  const today = date.toDateString() === new Date().toDateString();
  const form: Intl.DateTimeFormatOptions = today ? { timeStyle: 'short' } : { dateStyle: 'short', timeStyle: 'short' };
  return new Intl.DateTimeFormat(locale, form).format(date);
}

/** A moment in full, for readers and titles. */
export function fully(moment: string): string {
  return new Intl.DateTimeFormat(locale, { dateStyle: 'full', timeStyle: 'short' }).format(new Date(moment));
}

/** Short names of the days of the week, from Monday. */
export function weekdays(): string[] {
  const form = new Intl.DateTimeFormat(locale, { weekday: 'short', timeZone: 'UTC' });
  // The first of January 2024 was a Monday.
  return [1, 2, 3, 4, 5, 6, 7].map((day) => form.format(Date.UTC(2024, 0, day)));
}

/** 75 seconds as 1:15. */
export function clock(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, '0')}`;
}

/** 1.25 seconds as words, to a tenth. */
export function tenths(seconds: number): string {
  const form: Intl.NumberFormatOptions = { style: 'unit', unit: 'second', unitDisplay: 'long', minimumFractionDigits: 1, maximumFractionDigits: 1 };
  return new Intl.NumberFormat(locale, form).format(seconds);
}

/** 90 minutes as words, whole hours as hours. */
export function span(minutes: number): string {
  const [count, unit] = minutes % 60 === 0 ? [minutes / 60, 'hour'] : [minutes, 'minute'];
  return new Intl.NumberFormat(locale, { style: 'unit', unit, unitDisplay: 'long' }).format(count);
}
