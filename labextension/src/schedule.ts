const FIELDS = [
  [0, 59],
  [0, 23],
  [1, 31],
  [1, 12],
  [0, 7]
] as const;
const PART = /^(?:\*|(\d{1,2})(?:-(\d{1,2}))?)(?:\/(\d{1,2}))?$/;
/** A leap day comes within eight years. */
const LOOKED_DAYS = 8 * 366 + 2;

/** The numbers that a field of a schedule means; null where it means none. */
function valuesOf(field: string, least: number, most: number): Set<number> | null {
  const found = new Set<number>();
  for (const part of field.split(',')) {
    const [matched, from, to, every] = PART.exec(part) ?? [];
    const step = Number(every ?? 1);
    const first = from === undefined ? least : Number(from);
    const last = from === undefined ? most : Number(to ?? (every === undefined ? from : most));
    if (matched === undefined || step === 0 || first < least || last > most || first > last) {
      return null;
    }
    for (let value = first; value <= last; value += step) {
      found.add(value);
    }
  }
  return found;
}

/** When a schedule (five fields, as crontab(5) has them) comes next after a moment, by the same clock; null where it never does, or is none. */
export function nextRun(schedule: string, after: Date): Date | null {
  const words = schedule.trim().split(/\s+/);
  const [minutes, hours, days, months, weekdays] = FIELDS.map(([least, most], n) =>
    valuesOf(words[n] ?? '', least, most)
  );
  if (words.length !== 5 || !minutes || !hours || !days || !months || !weekdays) {
    return null;
  }
  const bound = !/^\*/.test(words[2] ?? '') && !/^\*/.test(words[4] ?? '');
  const isDay = (day: Date): boolean => {
    const ofMonth = days.has(day.getDate());
    const ofWeek = weekdays.has(day.getDay()) || (day.getDay() === 0 && weekdays.has(7));
    const fits = bound ? ofMonth || ofWeek : ofMonth && ofWeek; // cron means either where both are named
    return months.has(day.getMonth() + 1) && fits;
  };
  const [year, month] = [after.getFullYear(), after.getMonth()];
  for (let later = 0; later < LOOKED_DAYS; later++) {
    const day = new Date(year, month, after.getDate() + later);
    for (let minute = 0; isDay(day) && minute < 1440; minute++) {
      const time = new Date(day.getFullYear(), day.getMonth(), day.getDate(), 0, minute);
      if (time > after && hours.has(time.getHours()) && minutes.has(time.getMinutes())) {
        return time;
      }
    }
  }
  return null;
}
