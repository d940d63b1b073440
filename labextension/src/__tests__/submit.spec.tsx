import { act, fireEvent, render, screen, within } from '@testing-library/react';
import { axe } from 'jest-axe';
import React from 'react';

import { ApiError } from '../api/errors';
import type { AccessRequest, Offer, Production, Run, Submission } from '../api/generated/openapi';
import '../features/submit/AboutJob'; // read now, and not while a test waits for it
import { SubmitView } from '../features/submit/SubmitView';
import { SubmissionModel } from '../state/submissionModel';
import { aCheck, aSubmission, FakeApi, NOW } from './fakeApi';
import { FakeNotebooks } from './fakeNotebooks';

const RUN: Run = {
  number: 1,
  state: 'complete',
  exit_code: 0,
  peak_bytes: 2 ** 28,
  attempts: 1,
  cell: null,
  error: '',
  log_tail: '',
  drift: ['nyc/flights: column tailnum is gone'],
  outputs: [{ path: 'sold.csv', sha256: 'ab'.repeat(32), size_bytes: 2048 }],
  started_at: '2026-03-01T06:00:00Z',
  ended_at: '2026-03-01T06:02:00Z'
};
const WORD = {
  reviewer: 'rita',
  decision: 'approve',
  words: 'numbers agree',
  self_test: false,
  decided_at: NOW
} as const;
const PRODUCTION: Production = {
  decisions: [WORD],
  approvals: 1,
  needed: 2,
  missing: [],
  objections: [],
  deployments: [
    {
      id: 'd1',
      engine: 'local',
      state: 'live',
      label: 'live',
      schedule: '0 6 * * 1',
      run_as: 'batch',
      reason: '',
      created_at: NOW,
      drift: ['nyc/flights was 1.0.0 in its clean run, and is 2.0.0 now'],
      runs: [{ ...RUN, number: 2, state: 'failed', cell: 3, error: 'KeyError: rate', log_tail: 'rate is gone\n' }, RUN]
    }
  ]
};
const ASKED: AccessRequest = {
  id: 'p1',
  kind: 'package',
  dataset: '',
  package: 'polars',
  group: 'analysts',
  also: ['polars-runtime'],
  until: '2026-06-01T12:00:00Z',
  person: 'ana',
  purpose: 'frames',
  days: 90,
  state: 'granted',
  decided_by: 'carol',
  reason: 'looked at it',
  created_at: NOW
};

describe('the way to production', () => {
  let api: FakeApi;
  let model: SubmissionModel;
  let notebooks: FakeNotebooks;
  let container: HTMLElement;

  beforeEach(() => {
    api = new FakeApi();
    model = new SubmissionModel(api);
    notebooks = new FakeNotebooks();
    model.notebook = notebooks.path;
    model.visible = true;
    const view = (): React.JSX.Element => <SubmitView model={model} notebooks={notebooks} />;
    const drawn = render(view());
    container = drawn.container;
    model.stateChanged.connect(() => act(() => drawn.rerender(view())));
  });

  afterEach(() => model.dispose());

  const button = (name: string | RegExp): HTMLButtonElement => screen.getByRole('button', { name });
  const click = (one: HTMLElement): Promise<void> =>
    act(async () => {
      fireEvent.click(one);
      await Promise.resolve(); // what it sends is answered
    });
  const type = (label: string | RegExp, value: string): void =>
    void fireEvent.change(screen.getByLabelText(label), { target: { value } });
  const open = async (): Promise<void> => {
    fireEvent(container.querySelector('details') as HTMLElement, new Event('toggle'));
    await screen.findByLabelText('When it runs'); // the form was loaded
  };
  const sent = (): string => api.calls.find(call => call.startsWith('submit ')) ?? '';

  it('sends what was said about the job, and nothing of what was not', async () => {
    notebooks.tagged = 'month = 1\nfinal = False\nrates = load()';
    await open();
    type('When it runs', '0 6 * * 1');
    type('Whom to ask about it', 'ana');
    type('What it is for', 'the Monday meeting');
    type('Files that it makes, one a line', 'a.csv\n\n out/b.parquet = nyc/b \n');
    type('Labels, one a line', 'team = flights\nurgent');
    type('month', '6');
    type('final', 'true');
    expect(screen.getByLabelText<HTMLInputElement>('rates').disabled).toBe(true);
    await click(button('Submit for production'));
    expect(JSON.parse(sent().slice('submit '.length))).toEqual({
      notebook: 'analysis/churn.ipynb',
      draft: false,
      parameters: { month: 6, final: true },
      details: {
        schedule: '0 6 * * 1',
        contact: 'ana',
        outputs: [
          { name: 'a.csv', path: 'a.csv' },
          { name: 'out/b.parquet', path: 'out/b.parquet', dataset: 'nyc/b' }
        ],
        description: 'the Monday meeting',
        labels: { team: 'flights', urgent: '' }
      }
    });
    const violations = (await axe(container)).violations.map(({ id }) => id);
    expect(violations).toEqual([]);
  });

  it('takes a schedule as crontab has it, and a value back', async () => {
    notebooks.tagged = 'month = 1';
    await open();
    type('When it runs', 'other');
    type('Minute, hour, day, month, weekday', '30 5 * * *');
    type('month', '6');
    type('month', '');
    await click(button('Check draft'));
    expect(sent()).toBe('submit {"notebook":"analysis/churn.ipynb","draft":true,"details":{"schedule":"30 5 * * *"}}');
  });

  it('says at a field what is wrong with it, and opens the form', async () => {
    await open();
    type('When it runs', 'other');
    type('Minute, hour, day, month, weekday', 'daily');
    const fields = { 'details.schedule': "'daily' is no schedule", 'details.secrets.0': 'no name of a secret' };
    api.failure = new ApiError('the body is not as expected', { fields });
    await click(button('Submit for production'));
    const schedule = screen.getByLabelText<HTMLInputElement>('Minute, hour, day, month, weekday');
    expect(schedule.getAttribute('aria-invalid')).toBe('true');
    expect(document.getElementById(schedule.getAttribute('aria-describedby') ?? '')?.textContent).toContain('daily');
    expect(screen.getByLabelText(/^Secrets/).getAttribute('aria-invalid')).toBe('true');
    expect(screen.getByLabelText('Whom to ask about it').getAttribute('aria-invalid')).toBeNull();
    expect(container.querySelector('details')?.open).toBe(true);
    expect((await axe(container)).violations.map(({ id }) => id)).toEqual([]);
  });

  it('asks for a package from the finding that names it', async () => {
    const offer = { do: 'request_package', package: 'polars' } as const;
    const finding = { message: 'the package polars is not on the approved list', offer };
    api.submissionsAnswer = [
      aSubmission({ state: 'checks_failed', checks: [aCheck({ state: 'failed', findings: [finding] })] })
    ];
    await act(() => model.refresh());
    fireEvent.click(button('Ask for polars…'));
    const form = within(screen.getByRole('form', { name: 'Ask for a package' }));
    expect(form.getByLabelText<HTMLInputElement>('Which package?').value).toBe('polars');
    expect(form.getByRole<HTMLButtonElement>('button', { name: 'Send request' }).disabled).toBe(true);
    fireEvent.change(form.getByLabelText('What do you need it for?'), { target: { value: 'frames' } });
    await click(form.getByRole('button', { name: 'Send request' }));
    expect(api.calls).toContain('package polars frames 90');
    const list = screen.getByRole('region', { name: 'Packages on request' });
    expect(list.textContent).toContain('polars');
    expect(list.textContent).toContain('waiting');
    expect(screen.queryByRole('form', { name: 'Ask for a package' })).toBeNull();
  });

  it.each<[Offer, string, string]>([
    [{ do: 'clear_outputs' }, 'Clear its outputs', 'clear analysis/churn.ipynb 2'],
    [{ do: 'tag', tag: 'parameters' }, 'Tag it “parameters”', 'tag analysis/churn.ipynb 2 parameters'],
    [
      { do: 'replace', old: '"/home/a.csv"', new: 'guarded.path("nyc/a")' },
      'Write guarded.path("nyc/a")',
      'replace analysis/churn.ipynb 2:7 "/home/a.csv" by guarded.path("nyc/a")'
    ],
    [{ do: 'run_all' }, 'Restart and run all cells…', 'run all of analysis/churn.ipynb'],
    [
      { do: 'install', requirement: 'pandas==2.2.3' },
      'Insert %pip install pandas==2.2.3',
      'insert %pip install pandas==2.2.3'
    ]
  ])('carries a fix out in the notebook: %p', async (offer, label, done) => {
    const finding = { message: 'so it is', cell: 2, line: 7, offer };
    api.submissionsAnswer = [
      aSubmission({ state: 'checks_failed', checks: [aCheck({ state: 'failed', findings: [finding] })] })
    ];
    await act(() => model.refresh());
    await click(button(label));
    expect(notebooks.done).toEqual([done]);
  });

  it('says what mends the whole notebook once, and which checks failed by their titles', async () => {
    const finding = { message: 'this cell was not run', fix: 'run all cells', offer: { do: 'run_all' } as const };
    const findings = [
      { ...finding, cell: 0 },
      { ...finding, cell: 1 }
    ];
    const order = aCheck({ title: 'Cells were run once', state: 'failed', findings });
    api.submissionsAnswer = [
      aSubmission({ state: 'checks_failed', error: 'failed: order', checks: [order, aCheck()] })
    ];
    await act(() => model.refresh());
    expect(screen.getAllByRole('button', { name: 'Restart and run all cells…' })).toHaveLength(1);
    expect(screen.getAllByText('run all cells')).toHaveLength(1);
    expect(screen.getByRole('alert').textContent).toContain('Failed: Cells were run once');
  });

  it('says another error as it is', async () => {
    api.submissionsAnswer = [aSubmission({ state: 'checks_failed', error: 'the worker ended', checks: [aCheck()] })];
    await act(() => model.refresh());
    expect(screen.getByRole('alert').textContent).toContain('The worker ended');
    expect(container.textContent).toContain('checks failed');
  });

  it.each<[Submission['state'], boolean]>([
    ['approved', false],
    ['retired', true]
  ])('takes no words of a person for an error: %s', async (state, shown) => {
    api.submissionsAnswer = [aSubmission({ state, error: 'numbers agree' })];
    await act(() => model.refresh());
    expect(screen.queryByRole('alert')).toBeNull();
    expect(screen.queryAllByText('Numbers agree')).toHaveLength(shown ? 1 : 0);
  });

  it('asks for a reason in its own words, and calls nothing failed, where only that is missing', async () => {
    const checks = [aCheck({ title: 'Cells were run once', state: 'warned' }), aCheck()];
    const error = 'there are warnings, and no reason to go on: Cells were run once';
    api.submissionsAnswer = [
      aSubmission({ state: 'checks_failed', error, checks, next_step: "submit it again (`--reason '…'`)" })
    ];
    await act(() => model.refresh());
    expect(screen.queryByRole('alert')).toBeNull();
    expect(container.textContent).toContain('There are warnings: Cells were run once');
    expect(container.textContent).toContain('needs a reason');
    expect(container.textContent).not.toMatch(/--reason|checks failed/);
    expect(button('Submit for production').disabled).toBe(true);
    type(/^There are warnings/, 'it was run elsewhere');
    await click(button('Submit for production'));
    expect(sent()).toContain('"reason":"it was run elsewhere"');
  });

  it('offers no button for what can not be carried out here', async () => {
    const findings = [
      { message: 'no cell', offer: { do: 'clear_outputs' } as const },
      { message: 'no tag', cell: 1, offer: { do: 'tag' } as const },
      { message: 'data', cell: 1, offer: { do: 'request' } as const, fix: 'ask dana' },
      { message: 'nothing', cell: 1 }
    ];
    api.submissionsAnswer = [aSubmission({ state: 'checks_failed', checks: [aCheck({ state: 'failed', findings })] })];
    await act(() => model.refresh());
    const buttons = within(screen.getByRole('list', { name: 'Checks' })).getAllByRole('button');
    expect(buttons.map(({ textContent }) => textContent)).toEqual(['Cell 2', 'Cell 2', 'Cell 2']);
    expect(container.textContent).toContain('ask dana');
  });

  it('says why a package can not be asked for, and keeps what was typed', async () => {
    await act(() => model.refresh());
    fireEvent.click(button('Ask for a package…'));
    type('Which package?', 'telnetlib3');
    type('What do you need it for?', 'to dial');
    api.failure = new ApiError('the package telnetlib3 is denied', { rule: 'guardrails.yaml:8 deny' });
    await click(button('Send request'));
    expect(screen.getByRole('alert').textContent).toContain('is denied');
    expect(screen.getByLabelText<HTMLInputElement>('Which package?').value).toBe('telnetlib3');
  });

  it('shows until when, for whom and with what a package was allowed', async () => {
    api.requestsAnswer = [ASKED, { ...ASKED, id: 'r', kind: 'access', dataset: 'hr/headcount', package: null }];
    await act(() => model.refresh());
    const list = screen.getByRole('region', { name: 'Packages on request' });
    for (const text of ['polars', 'granted', 'for analysts', 'with polars-runtime', 'carol: looked at it', '2026']) {
      expect(list.textContent).toContain(text);
    }
    expect(within(list).getAllByRole('listitem')).toHaveLength(1);
  });

  it('shows the words of reviewers and the last runs with their cell', async () => {
    api.submissionsAnswer = [aSubmission({ state: 'deployed', label: 'in production' })];
    api.productionAnswer = PRODUCTION;
    await act(() => model.refresh());
    for (const text of [
      'Reviewers (1 of 2 have approved)',
      'rita',
      'numbers agree',
      'Production: live on local',
      'as batch · on schedule 0 6 * * 1',
      'nyc/flights was 1.0.0 in its clean run, and is 2.0.0 now',
      'Run 2',
      'Cell 3: KeyError: rate',
      'Made sold.csv (2 KiB)',
      'Its data has changed: nyc/flights: column tailnum is gone',
      '256 MiB at most'
    ]) {
      expect(container.textContent).toContain(text);
    }
    const logs = container.querySelectorAll('.jp-Guardrails-log');
    expect([...logs].map(log => log.querySelector('pre')?.textContent)).toEqual(['rate is gone\n']);
    expect((await axe(container)).violations.map(({ id }) => id)).toEqual([]);
  });

  it('says what is missing of a job in review, and why an approved one may not go into production', async () => {
    api.submissionsAnswer = [aSubmission({ state: 'in_review' })];
    const none = { ...PRODUCTION, decisions: [], deployments: [] };
    api.productionAnswer = { ...none, missing: ['one more approval', 'the word of dana for hr/people'] };
    await act(() => model.refresh());
    expect(container.textContent).toContain('Still missing: one more approval; the word of dana for hr/people');
    const objection = {
      reason: 'the approval of rita lapsed',
      rule: 'guardrails.yaml:9 x',
      next_step: 'approve it anew'
    };
    api.productionAnswer = { ...none, objections: [objection] };
    await act(() => model.refresh());
    const notice = screen.getByText('It may not go into production now: the approval of rita lapsed').parentElement;
    expect(notice?.textContent).toContain('Next step: approve it anew');
    expect(notice?.textContent).toContain('guardrails.yaml:9 x');
  });

  it('says of a word that it is a self-test', async () => {
    api.submissionsAnswer = [aSubmission({ state: 'in_review' })];
    api.productionAnswer = { ...PRODUCTION, decisions: [{ ...WORD, self_test: true }], deployments: [] };
    await act(() => model.refresh());
    expect(container.textContent).toContain('a self-test, not an approval');
  });

  it('reopens a job as an experiment, opens it, and says what is other than then', async () => {
    api.submissionsAnswer = [aSubmission({ state: 'deployed', package: 'churn-1.job.zip' })];
    await act(() => model.refresh());
    await click(button('Reopen as experiment'));
    expect([api.calls.includes('reopen s1'), ...notebooks.done]).toEqual([true, 'reveal churn-1/churn.ipynb 0']);
    const notice = await screen.findByText('Reopened in churn-1');
    act(() => void (model.notebook = 'churn-1/churn.ipynb')); // JupyterLab brings it to the front: the same card stays
    const said = notice.parentElement?.textContent ?? '';
    for (const words of [
      'month = 6',
      'nyc/flights: 1.0.0 then, 2.0.0 now',
      'hr/people: 1.0.0 then, not yours to read now'
    ]) {
      expect(said).toContain(words);
    }
    expect(said).not.toContain('nyc/weather');
    expect(notice.isConnected && said).toContain('Next step: for its own environment');
    expect((await axe(container)).violations.map(({ id }) => id)).toEqual([]);
  });

  it('says why a job can not be reopened, and opens nothing', async () => {
    api.submissionsAnswer = [aSubmission({ state: 'deployed', package: 'churn-1.job.zip' })];
    await act(() => model.refresh());
    api.failure = new ApiError('the workspace is full');
    await click(button('Reopen as experiment'));
    expect(screen.getAllByRole('alert')[0]?.textContent).toContain('the workspace is full');
    expect(notebooks.done).toEqual([]);
    expect(screen.queryByText(/^Reopened/)).toBeNull();
  });

  it('asks what became of it only where others have a say', async () => {
    api.submissionsAnswer = [aSubmission({ state: 'checks_failed' })];
    await act(() => model.refresh());
    expect(api.calls.filter(call => call.startsWith('production'))).toEqual([]);
  });

  it('shows the one that is being checked where no notebook is open', async () => {
    api.submissionsAnswer = [aSubmission({ id: 'done', state: 'in_review' }), aSubmission({ id: 'now' })];
    act(() => {
      model.notebook = null;
    });
    await act(() => model.refresh());
    expect(model.shown?.id).toBe('now');
    expect(button('Cancel')).toBeTruthy();
  });
});
