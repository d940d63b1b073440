import { act, fireEvent, render, screen, within } from '@testing-library/react';
import { axe } from 'jest-axe';
import React from 'react';

import { ApiError } from '../api/errors';
import '../features/submit/AboutJob'; // read now, and not while a test waits for it
import { SubmitView } from '../features/submit/SubmitView';
import { SubmissionModel } from '../state/submissionModel';
import { aCheck, aSubmission, FakeApi } from './fakeApi';
import { FakeNotebooks } from './fakeNotebooks';

const CELL = `month: int = 1
share = 0.5
until: int | None = None
kind: Literal["day", "night"] = "day"
last = False
months: list[int] = [1, 2]
nothing = None
rates = load()`;

describe('the form of parameters', () => {
  let api: FakeApi;
  let model: SubmissionModel;
  let notebooks: FakeNotebooks;
  let container: HTMLElement;

  beforeEach(async () => {
    api = new FakeApi();
    model = new SubmissionModel(api);
    notebooks = new FakeNotebooks();
    notebooks.tagged = CELL;
    model.notebook = notebooks.path;
    const view = (): React.JSX.Element => <SubmitView model={model} notebooks={notebooks} />;
    const drawn = render(view());
    container = drawn.container;
    model.stateChanged.connect(() => act(() => drawn.rerender(view())));
    fireEvent(container.querySelector('details') as HTMLElement, new Event('toggle'));
    await screen.findByLabelText('month');
  });

  afterEach(() => model.dispose());

  const field = (name: string): HTMLInputElement => screen.getByLabelText(name);
  const type = (name: string, value: string): void => void fireEvent.change(field(name), { target: { value } });
  const leave = (name: string): void => void fireEvent.blur(field(name));
  const press = async (name: string): Promise<void> => {
    fireEvent.click(screen.getByRole('button', { name }));
    await act(() => new Promise(resolve => setTimeout(resolve))); // what reads the values was loaded
  };
  const saidAt = (name: string): string | undefined =>
    document.getElementById(field(name).getAttribute('aria-describedby') ?? '')?.textContent ?? undefined;
  const sent = (): Array<Record<string, unknown>> =>
    api.calls
      .filter(call => call.startsWith('submit '))
      .map(call => JSON.parse(call.slice('submit '.length)) as Record<string, unknown>);
  const options = (name: string): string[] =>
    within(field(name))
      .getAllByRole('option')
      .map(({ textContent }) => textContent ?? '');

  it('offers the choices that an annotation or a default names', () => {
    expect(options('kind')).toEqual(['day (as in the notebook)', 'day', 'night']);
    expect(options('last')).toEqual(['False (as in the notebook)', 'true', 'false']);
    expect(['month', 'share', 'until', 'months'].map(name => field(name).placeholder)).toEqual([
      '1',
      '0.5',
      'None (or none)',
      '[1, 2]'
    ]);
    expect(['nothing', 'rates'].map(name => [field(name).disabled, saidAt(name)])).toEqual([
      [true, 'None may be anything: annotate it.'],
      [true, 'Worked out by the notebook.']
    ]);
  });

  it('sends each value as its kind, and none for what is left empty', async () => {
    type('month', '6');
    type('until', 'none');
    fireEvent.change(field('kind'), { target: { value: '"night"' } });
    fireEvent.change(field('last'), { target: { value: 'true' } });
    type('months', '[3]');
    type('share', '1');
    type('share', '');
    await press('Submit for production');
    expect(sent().map(({ parameters }) => parameters)).toEqual([
      { month: 6, until: null, kind: 'night', last: true, months: [3] }
    ]);
  });

  it.each([
    ['month', '2.5', 'This takes a whole number.'],
    ['share', 'half', 'This takes a number.'],
    ['until', 'x', 'This takes a whole number or none.'],
    ['months', '1, 2', 'This takes a JSON list of whole numbers, such as [1,2].']
  ])('says at %s what it takes, once it was left, and no more when it is right', async (name, text, words) => {
    fireEvent.focus(field(name));
    type(name, text);
    expect([field(name).getAttribute('aria-invalid'), screen.queryByRole('alert')]).toEqual([null, null]);
    leave(name);
    expect([field(name).getAttribute('aria-invalid'), saidAt(name), field(name).value]).toEqual(['true', words, text]);
    expect(screen.getAllByRole('alert').map(({ textContent }) => textContent)).toEqual([words]);
    expect((await axe(container)).violations.map(({ id }) => id)).toEqual([]);
    type(name, name === 'months' ? '[7]' : '7');
    expect([field(name).getAttribute('aria-invalid'), screen.queryByRole('alert')]).toEqual([null, null]);
  });

  it.each(['Submit for production', 'Check draft'])('%s leads to the first wrong one and sends nothing', async name => {
    type('month', '6');
    type('until', 'x');
    type('months', 'y');
    await press(name);
    expect([sent(), notebooks.done.includes('save')]).toEqual([[], false]);
    expect(document.activeElement).toBe(field('until'));
    expect(screen.getByText('This was not done').parentElement?.textContent).toContain('until, months');
    expect(['month', 'until', 'months'].map(one => field(one).getAttribute('aria-invalid'))).toEqual([
      null,
      'true',
      'true'
    ]);
    type('until', '3');
    expect([screen.queryByText('This was not done'), saidAt('months')]).toEqual([null, expect.stringMatching('JSON')]);
    type('months', '');
    await press(name);
    expect(sent().map(({ parameters }) => parameters)).toEqual([{ month: 6, until: 3 }]);
  });

  it('goes by the notebook as it is when it is sent', async () => {
    type('month', '2.5');
    notebooks.tagged = 'month: float = 1';
    await press('Submit for production');
    notebooks.tagged = 'other = 1';
    await press('Check draft');
    expect(sent().map(({ parameters }) => parameters)).toEqual([{ month: 2.5 }, undefined]);
  });

  it('takes no focus for what was refused before it was drawn', async () => {
    type('month', 'x');
    await press('Submit for production');
    const again = render(<SubmitView model={model} notebooks={notebooks} />);
    const other = document.createElement('button');
    document.body.append(other);
    other.focus();
    fireEvent(again.container.querySelector('details') as HTMLElement, new Event('toggle'));
    await within(again.container).findByLabelText('month');
    expect(document.activeElement).toBe(other);
    other.remove();
  });

  it('says at its field what the check said of a value, until that is another one', async () => {
    const message = 'the submitted value of month: 6 is less than the minimum of 7';
    const findings = [
      { message, parameter: 'month' },
      { message: 'of none that was typed', parameter: 'share' },
      { message: 'of the whole' }
    ];
    type('month', '6');
    type('until', '3');
    await press('Submit for production');
    expect(saidAt('month')).toBeUndefined();
    api.submissionsAnswer = [aSubmission({ state: 'checks_failed', checks: [aCheck({ state: 'failed', findings })] })];
    await act(() => model.refresh());
    expect([saidAt('month'), saidAt('share'), saidAt('until')]).toEqual([
      'The submitted value of month: 6 is less than the minimum of 7.',
      undefined,
      undefined
    ]);
    expect(document.activeElement).not.toBe(field('month')); // somebody may do something else by now
    type('until', '4');
    expect(field('month').getAttribute('aria-invalid')).toBe('true');
    type('month', '7');
    expect(saidAt('month')).toBeUndefined();
  });

  it('has what was said of a job that was reopened', async () => {
    const parameters = { month: 6, until: null, kind: 'night', last: true, months: [3], share: 0.25 };
    const details = {
      schedule: '0 6 * * 1',
      contact: 'ana',
      outputs: [{ name: 'o', path: 'r.csv', dataset: 'nyc/r' }]
    };
    api.submissionsAnswer = [aSubmission({ state: 'deployed', package: 'churn-1.job.zip' })];
    api.reopenedAnswer = { ...api.reopenedAnswer, parameters, details };
    await act(() => model.refresh());
    await press('Reopen as experiment');
    await screen.findByText('What was said of it is in the form, too.');
    act(() => {
      notebooks.path = 'churn-1/churn.ipynb';
      model.notebook = notebooks.path;
    });
    fireEvent(container.querySelector('details') as HTMLElement, new Event('toggle'));
    await screen.findByLabelText('month');
    expect(['month', 'until', 'kind', 'last', 'months', 'share'].map(name => field(name).value)).toEqual([
      '6',
      'none',
      '"night"',
      'true',
      '[3]',
      '0.25'
    ]);
    expect(field('Whom to ask about it').value).toBe('ana');
    await press('Check draft');
    expect(sent().map(({ notebook, ...said }) => [notebook, said.parameters, said.details])).toEqual([
      [notebooks.path, parameters, details]
    ]);
  });

  it('leads to any other field that was refused', async () => {
    const fields = { 'details.contact': 'too long' };
    api.failure = new ApiError('the body is not as expected', { fields });
    await press('Submit for production');
    expect(document.activeElement).toBe(field('Whom to ask about it'));
    type('What it is for', 'the Monday meeting');
    expect(saidAt('Whom to ask about it')).toBe('too long');
    type('Whom to ask about it', 'ana');
    expect(saidAt('Whom to ask about it')).toBeUndefined();
  });

  it.each(['daily', '60 * * * *', '0 0 31 2 *'])(
    'says at the schedule, once it was left, that %p never comes',
    text => {
      const schedule = 'Minute, hour, day, month, weekday';
      type('When it runs', 'other');
      type(schedule, text);
      expect(saidAt(schedule)).toBeUndefined();
      leave(schedule);
      expect(saidAt(schedule)).toContain('There is no such time');
      type(schedule, '30 5 * * 1');
      expect([saidAt(schedule), field(schedule).getAttribute('aria-invalid')]).toEqual([undefined, null]);
    }
  );

  it('keeps what was said apart for each notebook', async () => {
    const front = async (path: string): Promise<void> => {
      act(() => {
        notebooks.path = path;
        model.notebook = path;
      });
      fireEvent(container.querySelector('details') as HTMLElement, new Event('toggle'));
      await screen.findByLabelText('month');
    };
    type('month', 'x');
    await front('b.ipynb');
    expect(field('month').value).toBe('');
    await front('analysis/churn.ipynb');
    expect(field('month').value).toBe('x');
  });
});
