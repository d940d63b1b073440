import { nextRun } from '../schedule';

const FRIDAY = new Date(2026, 10, 27, 18, 30); // by the clock of whoever looks

describe('the next run of a schedule', () => {
  it.each([
    ['0 6 * * *', new Date(2026, 10, 28, 6, 0)],
    ['30 18 * * *', new Date(2026, 10, 28, 18, 30)],
    ['31 18 * * *', new Date(2026, 10, 27, 18, 31)],
    ['0 * * * *', new Date(2026, 10, 27, 19, 0)],
    ['*/20 * * * *', new Date(2026, 10, 27, 18, 40)],
    ['0 6 * * 1', new Date(2026, 10, 30, 6, 0)],
    ['0 6 * * 1-5', new Date(2026, 10, 30, 6, 0)],
    ['0 6 * * 7', new Date(2026, 10, 29, 6, 0)],
    ['0 6 * * 0', new Date(2026, 10, 29, 6, 0)],
    ['0 6 1 * *', new Date(2026, 11, 1, 6, 0)],
    ['0 6 1 * 1', new Date(2026, 10, 30, 6, 0)], // either, where both are named
    ['0 6 */2 * 1', new Date(2026, 11, 7, 6, 0)], // both, where one begins with *
    ['0 0 29 2 *', new Date(2028, 1, 29, 0, 0)],
    ['5,10 8,20 * * *', new Date(2026, 10, 27, 20, 5)],
    ['7/30 * * * *', new Date(2026, 10, 27, 18, 37)],
    ['  0   6 * * * ', new Date(2026, 10, 28, 6, 0)]
  ])('%s', (schedule, expected) => expect(nextRun(schedule, FRIDAY)).toEqual(expected));

  it.each([
    '',
    '0 6 * *',
    '60 6 * * *',
    '0 24 * * *',
    '0 6 0 * *',
    'a b c d e',
    '*/0 * * * *',
    '5-1 * * * *',
    '0 0 31 2 *'
  ])('is none for %j', schedule => expect(nextRun(schedule, FRIDAY)).toBeNull());
});
