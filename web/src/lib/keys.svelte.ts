// Whether single keys act in list and player: kept in this browser, and nothing else is but the speed of playing.
import { keep, kept } from './kept.ts';

const NAME = 'vm-keys';
const SPEED = 'vm-speed';

class Keys {
  on = $state(kept(NAME) !== 'off');

  set(on: boolean) {
    this.on = on;
    keep(NAME, on ? 'on' : 'off');
  }
}

export const keys = new Keys();

export const SPEEDS = [0.75, 1, 1.25, 1.5, 2];

class Speed {
  now = $state(SPEEDS.find((speed) => String(speed) === kept(SPEED)) ?? 1);

  set(speed: number) {
    this.now = speed;
    keep(SPEED, String(speed));
  }

  /** One step slower or faster. */
  step(by: -1 | 1) {
    this.set(SPEEDS[Math.min(Math.max(SPEEDS.indexOf(this.now) + by, 0), SPEEDS.length - 1)] ?? 1);
  }
}

export const speed = new Speed();

/** Whether a key is meant for the page, and not for a field or a control of its own. */
export function isForPage(event: KeyboardEvent): boolean {
  if (!keys.on || event.ctrlKey || event.altKey || event.metaKey || event.defaultPrevented) return false;
  const target = event.target as HTMLElement;
  return !target.matches('input:not([type="range"]), select, textarea');
}
