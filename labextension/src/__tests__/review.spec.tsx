import { act, fireEvent, render, screen, within } from '@testing-library/react';
import { axe } from 'jest-axe';
import React from 'react';

import { ApiError } from '../api/errors';
import type { AccessRequest, ReviewDecision } from '../api/generated/openapi';
import { ReviewView } from '../features/review/ReviewView';
import { DatasetModel } from '../state/datasetModel';
import { ReviewModel } from '../state/reviewModel';
import { aCheck, aSubmission, FakeApi, NOW } from './fakeApi';
import { aLine, aProposal, aReview, FakeReviews } from './fakeReviews';

const EVIL = '<img src=x onerror="alert(1)"> \u202eevil';
const SAID: ReviewDecision = {
  reviewer: 'ron',
  decision: 'approve',
  words: 'numbers agree',
  self_test: false,
  decided_at: NOW,
  content_digest: 'c'.repeat(64),
  as_reviewer: true,
  datasets: [],
  conditions: 'only for March',
  ends_at: null
};
const ASKED: AccessRequest = {
  id: 'r1',
  kind: 'access',
  dataset: 'hr/staff',
  person: 'ben',
  purpose: 'churn by team',
  days: 30,
  state: 'open',
  created_at: NOW
};

describe('the Review tab', () => {
  let api: FakeReviews;
  let model: ReviewModel;
  let datasets: DatasetModel;
  let container: HTMLElement;

  async function show(): Promise<void> {
    const view = (): React.JSX.Element => <ReviewView model={model} datasets={datasets} />;
    const drawn = render(view());
    container = drawn.container;
    model.stateChanged.connect(() => act(() => drawn.rerender(view())));
    datasets.stateChanged.connect(() => act(() => drawn.rerender(view())));
    await act(() => model.refresh());
  }

  const press = async (name: string | RegExp, role = 'button'): Promise<void> => {
    await act(async () => {
      fireEvent.click(screen.getByRole(role, { name }));
      await Promise.resolve();
    });
  };

  beforeEach(() => {
    api = new FakeReviews();
    model = new ReviewModel(api);
    datasets = new DatasetModel(new FakeApi());
    model.visible = true;
  });

  afterEach(() => {
    model.dispose();
    datasets.dispose();
  });

  it('says what will come here while nothing does', async () => {
    await show();
    expect(container.textContent).toContain('Nothing waits for you');
    expect(container.textContent).toContain('submit for production come here');
    expect((await axe(container)).violations).toEqual([]);
  });

  it('tells who is no reviewer why there is nothing, with the rule', async () => {
    const next = 'reviewers are named under promotion.reviewers by an admin (carol)';
    api.desk.reviewer = { allowed: false, reason: 'ana is not a reviewer', rule: 'guardrails.yaml:7', next_step: next };
    await show();
    expect(container.textContent).toContain('You review no jobs: ana is not a reviewer');
    expect(container.textContent).toContain(next);
    expect(container.textContent).toContain('guardrails.yaml:7');
  });

  it('says that it reads, that it failed, and that the server is away, and tries again', async () => {
    api.failure = new ApiError('control is away', { status: 503, code: 'control_away' });
    const drawn = render(<ReviewView model={model} datasets={datasets} />);
    expect(screen.getByRole('status', { name: 'Reading what waits for you' })).toBeTruthy();
    drawn.unmount();
    await show();
    expect(screen.getByRole('alert').textContent).toContain('control is away');
    api.failure = new ApiError('no answer', { offline: true });
    await act(() => model.refresh());
    expect(container.textContent).toContain('The server cannot be reached');
    api.failure = null;
    await press('Try again');
    await act(() => model.refresh());
    expect(container.textContent).toContain('Nothing waits for you');
  });

  it('shows a job: state, digests, checks, decisions, and the commands for exactly this digest', async () => {
    api.desk.waiting = [aLine()];
    const finding = { cell: 2, message: 'reads the clock', fix: 'take the date as a parameter' };
    api.one = aReview({ decisions: [SAID], approvals: 1, needed: 2 });
    api.one.submission.checks = [aCheck({ title: 'Order of cells', state: 'warned', findings: [finding] })];
    api.one.submission.reason = EVIL;
    await show();
    await press(/churn-1/);
    const detail = screen.getByRole('region', { name: 'What you look at' });
    expect(within(detail).getByRole('heading', { level: 2 }).textContent).toContain('churn-1');
    expect(detail.textContent).toContain('cccccccccccc');
    expect(detail.textContent).toContain('reads the clock');
    expect(within(detail).queryByRole('button', { name: /^Cell 3/ })).toBeNull();
    expect(detail.textContent).toContain(EVIL);
    expect(detail.querySelector('img')).toBeNull();
    await press('Decide', 'tab');
    expect(detail.textContent).toContain('1 of 2 approvals');
    expect(detail.textContent).toContain('only for March');
    expect(detail.textContent).toContain('jupyter guardrails job approve s1 --digest cccccccccccc');
    expect(detail.textContent).toContain('jupyter guardrails job page');
    expect(detail.textContent).toContain('a notebook that you trust could send a decision in your name');
    expect((await axe(container)).violations).toEqual([]);
  });

  it('offers no command for what can not be decided', async () => {
    api.desk.drafts = [aLine({ state: 'draft' })];
    api.one = aReview({ submission: aSubmission({ state: 'draft', label: 'draft, not submitted' }), missing: [] });
    await show();
    await press(/churn-1/);
    await press('Decide', 'tab');
    expect(container.textContent).toContain('There is nothing to decide: draft, not submitted.');
    expect(container.textContent).not.toContain('job approve');
  });

  it('says why what was approved may not go into production', async () => {
    const objection = { reason: 'pandas is suspended', rule: 'suspension 4', next_step: 'ask carol' };
    api.desk.waiting = [aLine()];
    api.one = aReview({ objections: [objection] });
    await show();
    await press(/churn-1/);
    await press('Decide', 'tab');
    for (const text of ['pandas is suspended', 'suspension 4', 'ask carol']) {
      expect(container.textContent).toContain(text);
    }
    api.one = aReview({ objections: [] });
    await act(() => model.reload());
    expect(container.textContent).toContain('It may be deployed now.');
  });

  it('shows data with labels and whose word is wanted, and cost beside that of the version before', async () => {
    api.desk.waiting = [aLine({ version: 2 })];
    const cost = { cpu_s: 12, memory_peak_bytes: 2 ** 30, memory_gib_s: 3, gpu_s: null, wall_s: 20 };
    api.one = aReview({
      data: [{ name: 'hr/staff', classification: 'confidential', owner: 'dana' }],
      before: { id: 's0', version: 1, state: 'approved' },
      cost,
      cost_before: { ...cost, wall_s: 10 }
    });
    await show();
    await press(/churn-2/);
    await press('Data and cost', 'tab');
    const table = screen.getByRole('region', { name: 'What the clean run of churn used' });
    expect(within(table).getByRole('columnheader', { name: 'Version 1' })).toBeTruthy();
    expect(within(table).getByRole('row', { name: 'Time in all 20 s 10 s 60 min' })).toBeTruthy();
    expect(within(table).queryByText('GPU-seconds')).toBeNull();
    expect(screen.getByRole('row', { name: /^hr.staff confidential dana/ })).toBeTruthy();
  });

  it('shows what changed line by line, with a word where nothing did and where nothing can be compared', async () => {
    api.desk.waiting = [aLine({ version: 2 })];
    const before = { id: 's1', version: 1, state: 'approved' };
    api.content = { ...api.content, changes: [{ what: 'cell 1 (code)', lines: ['-x = 1', `+${EVIL}`] }] };
    api.one = aReview({ before });
    await show();
    await press(/churn-2/);
    expect(api.calls).not.toContain('content s1');
    await press('What changed', 'tab');
    const changes = screen.getByRole('tabpanel', { name: 'What changed' });
    expect(changes.textContent).toContain('Since version 1, which was approved');
    expect(changes.querySelector('[data-kind=gone]')?.textContent).toBe('-x = 1\n');
    expect(changes.querySelector('[data-kind=add]')?.textContent).toBe(`+${EVIL}\n`);
    expect(changes.querySelector('img')).toBeNull();
    expect((await axe(container)).violations).toEqual([]);
    await press('Data and cost', 'tab');
    expect(api.calls.filter(call => call.startsWith('content'))).toHaveLength(1);
  });

  it('says that nothing changed, or that there is nothing to compare with', async () => {
    api.desk.waiting = [aLine(), aLine({ id: 's2', name: 'other' })];
    await show();
    await press(/churn-1/);
    await press('What changed', 'tab');
    expect(container.textContent).toContain('No version was approved before this one');
    api.one = aReview({ before: { id: 's1', version: 1, state: 'approved' } });
    api.content = { ...api.content, changes: [] };
    await press(/other-1/);
    await press('What changed', 'tab');
    expect(container.textContent).toContain('the same, byte for byte');
  });

  it('says why a package can not be read, and reads it when it is asked again', async () => {
    api.desk.waiting = [aLine()];
    api.contentFailure = new ApiError('the package is not what is in review', { code: 'package_error' });
    await show();
    await press(/churn-1/);
    await press('What changed', 'tab');
    expect(screen.getByRole('alert').textContent).toContain('not what is in review');
    api.contentFailure = null;
    await press('Try again');
    expect(container.textContent).toContain('No version was approved before this one');
  });

  it('shows the clean run in a frame in which nothing runs', async () => {
    api.desk.waiting = [aLine()];
    await show();
    await press(/churn-1/);
    await press('Clean run', 'tab');
    const frame = screen.getByTitle('Clean run of churn');
    expect(frame.getAttribute('sandbox')).toBe('');
    expect(frame.getAttribute('src')).toBe('/guardrails/reviews/s1/clean-run?theme=light');
    expect(screen.getByRole('status', { name: 'Reading the clean run' })).toBeTruthy();
    await act(async () => {
      fireEvent.load(frame);
      await Promise.resolve();
    });
    expect(screen.queryByRole('status', { name: 'Reading the clean run' })).toBeNull();
  });

  it('shows how data was read and what the job makes', async () => {
    api.desk.waiting = [aLine()];
    api.one = aReview({ data: ['hr/staff', 'hr/old'].map(name => ({ name, classification: '', owner: '' })) });
    const input = { name: 'hr/staff', version: '2.0.0', masks: { mail: 'hash' }, some_rows: true, pinned: true };
    api.content = {
      ...api.content,
      inputs: [{ ...input, sha256: 'a'.repeat(64), size_bytes: 12 }],
      outputs: [
        {
          path: 'sold.csv',
          dataset: 'team/sold',
          columns: [{ name: 'day', type: 'date' }],
          format: 'csv',
          rows: 3,
          size_bytes: 40,
          problem: null
        }
      ]
    };
    await show();
    await press(/churn-1/);
    await press('Data and cost', 'tab');
    const parts = 'version 2.0.0 · mail masked (hash) · only some rows · a file, sha256 aaaaaaaaaaaa';
    for (const text of [
      `${parts} · it runs with no other file`,
      'not read: its workspace was given it before',
      'sold.csv, dataset team/sold',
      'csv · 3 rows · 40 B',
      'day date'
    ]) {
      expect(container.textContent).toContain(text);
    }
  });

  it('shows published data and requests with their commands', async () => {
    api.desk.publications = [aProposal({ description: EVIL })];
    api.desk.requests = [ASKED, { ...ASKED, id: 'p1', kind: 'package', dataset: '', package: 'polars' }];
    await show();
    await press(/team\/churn/);
    expect(container.textContent).toContain('data approve team/churn --digest 0123456789ab');
    expect(container.querySelector('img')).toBeNull();
    await press(/hr\/staff/);
    expect(container.textContent).toContain('data grant r1');
    await press(/polars/);
    expect(container.textContent).toContain('requests approve p1 --reason');
    expect((await axe(container)).violations).toEqual([]);
    api.desk = { ...api.desk, requests: [] };
    await act(() => model.refresh());
    expect(container.textContent).toContain('It no longer waits for you');
  });

  it('says that a review is a self-test where nobody else stands behind it', async () => {
    api.desk.service = false;
    await show();
    expect(container.textContent).toContain('Here a review is a self-test');
  });

  it('stays quick and usable by keyboard with five hundred that wait, and is filtered', async () => {
    api.desk.waiting = Array.from({ length: 500 }, (_, at) => aLine({ id: `s${at}`, name: `job${at}`, version: 1 }));
    await show();
    const list = screen.getByRole('list', { name: 'Waits for you' });
    const lines = within(list).getAllByRole('button');
    expect(lines).toHaveLength(500);
    expect(lines.filter(line => line.tabIndex === 0)).toHaveLength(1);
    lines[0]?.focus();
    fireEvent.keyDown(lines[0] as HTMLElement, { key: 'ArrowDown' });
    expect(document.activeElement).toBe(lines[1]);
    fireEvent.keyDown(lines[1] as HTMLElement, { key: 'End' });
    expect(document.activeElement).toBe(lines[499]);
    fireEvent.change(screen.getByRole('searchbox'), { target: { value: 'job49' } });
    expect(within(list).getAllByRole('button')).toHaveLength(11);
    fireEvent.change(screen.getByRole('searchbox'), { target: { value: 'nobody has this' } });
    expect(container.textContent).toContain('Nothing found');
  });

  it('cuts ten megabytes of text, and has more of it in reach', async () => {
    const long = 'x'.repeat(10_000_000);
    api.desk.waiting = [aLine({ name: long, notebook: long, person: long })];
    api.one = aReview({ decisions: [{ ...SAID, words: long }] });
    await show();
    await press(/xxx/);
    await press('Decide', 'tab');
    expect((container.textContent ?? '').length).toBeLessThan(20_000);
    fireEvent.click(screen.getAllByRole('button', { name: 'Show all' }).slice(-1)[0] as HTMLElement);
    expect(screen.getByRole('button', { name: 'Copy the whole text' })).toBeTruthy();
  });
});
