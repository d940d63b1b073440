import type { TranslationBundle } from '@jupyterlab/translation';

const KIB = 1024;
const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const;

/** Bytes for a reader: three digits at most, binary units, `1.21 GiB`. */
export function bytes(count: number): string {
  let unit = 0;
  let value = count;
  // 999.5 and not 1024: "1000 MiB" is harder to read than "0.98 GiB".
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= KIB;
    unit += 1;
  }
  return `${digits(value)} ${UNITS[unit] ?? 'B'}`;
}

/** A number with three digits at most and no zeros behind the point. */
export function digits(value: number): string {
  const places = value >= 100 ? 0 : value >= 10 ? 1 : 2;
  return String(Number(value.toFixed(places)));
}

/** A length of time in one unit: `45 s`, `12 min`, `3 h`, `2 days`. */
export function duration(seconds: number, trans: TranslationBundle): string {
  if (seconds < 90) {
    return trans.__('%1 s', digits(seconds < 10 ? Math.round(seconds * 10) / 10 : Math.round(seconds)));
  }
  if (seconds < 90 * 60) {
    return trans.__('%1 min', Math.round(seconds / 60));
  }
  if (seconds < 48 * 3600) {
    return trans.__('%1 h', digits(Math.round(seconds / 360) / 10));
  }
  return trans.__('%1 days', Math.round(seconds / 86400));
}

/** How long ago something was: `just now`, `5 min ago`, then a date. */
export function ago(time: string, now: number, trans: TranslationBundle): string {
  const seconds = (now - Date.parse(time)) / 1000;
  if (Number.isNaN(seconds)) {
    return '';
  }
  if (seconds < 60) {
    return trans.__('just now');
  }
  if (seconds < 86400) {
    return trans.__('%1 ago', duration(seconds, trans));
  }
  return new Date(time).toLocaleDateString(undefined, { day: 'numeric', month: 'short', year: 'numeric' });
}

/** A time for a reader: date and time of day where they are. */
export function moment(time: string): string {
  return new Date(time).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'short' });
}

/** The last part of a path. */
export function baseName(path: string): string {
  return path.slice(path.lastIndexOf('/') + 1);
}

/** A countdown's figures: `4:05`, `1:02:09`. */
export function clock(seconds: number): string {
  const whole = Math.max(0, seconds);
  const two = (value: number): string => String(Math.floor(value)).padStart(2, '0');
  const rest = two(whole % 60);
  return whole < 3600
    ? `${Math.floor(whole / 60)}:${rest}`
    : `${Math.floor(whole / 3600)}:${two((whole % 3600) / 60)}:${rest}`;
}

/** A word as a shell takes it: in quotes where it needs them. */
export function shellWord(text: string): string {
  return /^[\w.,:@%+=/-]+$/.test(text) ? text : `'${text.replace(/'/g, "'\\''")}'`;
}

/** What a server says, as a sentence by itself: with a capital, unless it begins with a name such as `nyc/flights`. */
export function sentence(text: string): string {
  return /^[a-z']+(?=[\s,;:]|$)/.test(text) ? text.charAt(0).toUpperCase() + text.slice(1) : text;
}
