import { ServerConnection } from '@jupyterlab/services';
import { act, fireEvent, render, screen } from '@testing-library/react';
import { axe } from 'jest-axe';
import React from 'react';

import { GuardrailsApi } from '../api/client';
import { ApiError, Trouble } from '../api/errors';
import type { Production, Submission } from '../api/generated/openapi';
import { Boundary } from '../components/Boundary';
import { Connection } from '../components/Connection';
import { ErrorNotice } from '../components/Notice';
import { SubmitView } from '../features/submit/SubmitView';
import { BACK_MS, SLOW_MS } from '../state/pollModel';
import { QuotaModel } from '../state/quotaModel';
import { SubmissionModel } from '../state/submissionModel';
import { VERSION } from '../version';
import { aCheck, aMe, aSubmission, FakeApi, NOW } from './fakeApi';
import { FakeNotebooks } from './fakeNotebooks';

type Answer = () => Promise<Response>;

const ok =
  (body: unknown): Answer =>
  () =>
    Promise.resolve(new Response(JSON.stringify(body), { status: 200 }));
const page =
  (status: number): Answer =>
  () =>
    Promise.resolve(new Response('<html>log in</html>', { status }));

/** An API whose answers come from a list, the last one again and again; `urls` is what was asked. */
function answering(...answers: Answer[]): { api: GuardrailsApi; urls: string[] } {
  const urls: string[] = [];
  const settings = ServerConnection.makeSettings({
    baseUrl: 'http://localhost:8888/',
    fetch: input => {
      urls.push(new URL((input as Request).url).pathname);
      const answer = answers.length > 1 ? answers.shift() : answers[0];
      return answer ? answer() : Promise.reject(new TypeError('nobody'));
    }
  });
  return { api: new GuardrailsApi(settings), urls };
}

async function troubleOf(promise: Promise<unknown>): Promise<Trouble | 'none'> {
  return promise.then(
    () => 'none' as const,
    (reason: unknown) => ApiError.from(reason).trouble
  );
}

const refusal = { code: 'refused', message: 'no', next_step: '', rule: '' };
const body =
  (status: number, said: unknown): Answer =>
  () =>
    Promise.resolve(new Response(JSON.stringify(said), { status }));

describe('an answer', () => {
  it.each<[string, Answer, Trouble | 'none']>([
    ['as it should be', ok(aMe()), 'none'],
    ['of a newer server, with a field that nobody here knows', ok({ ...aMe(), weather: 'fine' }), 'none'],
    ['that is a log-in page', page(200), 'signed_out'],
    ['that is a word', ok('hello'), 'signed_out'],
    ['403 of Jupyter', body(403, { message: 'Forbidden' }), 'signed_out'],
    ['403 of ours', body(403, refusal), 'said'],
    ['404 of Jupyter', page(404), 'missing'],
    ['404 of ours', body(404, { ...refusal, code: 'not_found' }), 'said'],
    ['500 of Jupyter', body(500, { message: 'Unhandled error', traceback: 'Traceback …' }), 'broken'],
    ['500 of ours', body(500, { ...refusal, code: 'internal' }), 'said'],
    ['502 of a proxy', page(502), 'offline'],
    ['503 of ours', body(503, { ...refusal, code: 'control_away' }), 'said']
  ])('%s', async (_, answer, trouble) => expect(await troubleOf(answering(answer).api.me())).toBe(trouble));

  it('that never comes is given up, and nothing stays on its way', async () => {
    jest.useFakeTimers();
    const { api } = answering(() => new Promise<Response>(() => undefined));
    const asked = troubleOf(api.me());
    await jest.advanceTimersByTimeAsync(44_000);
    expect(jest.getTimerCount()).toBe(1);
    await jest.advanceTimersByTimeAsync(1000);
    expect(await asked).toBe('late');
    expect(jest.getTimerCount()).toBe(0);
    jest.useRealTimers();
  });

  it('whose end never comes is given up, too', async () => {
    jest.useFakeTimers();
    const half = { ok: true, status: 200, text: () => new Promise<string>(() => undefined) } as Response;
    const asked = troubleOf(answering(() => Promise.resolve(half)).api.me());
    await jest.advanceTimersByTimeAsync(45_000);
    expect(await asked).toBe('late');
    jest.useRealTimers();
  });

  it('404 tells of an older server where others were answered, and of a missing one where none was', async () => {
    const { api } = answering(ok(aMe()), page(404));
    await api.me();
    expect(await troubleOf(api.publications())).toBe('older');
  });

  it('404 to the first request spares a server that has no part of ours all others', async () => {
    const { api, urls } = answering(page(404));
    const asked = [api.me(), api.kernels(), api.budget(), api.submissions({ words: '', limit: 50 })].map(troubleOf);
    expect(await Promise.all(asked)).toEqual(['missing', 'missing', 'missing', 'missing']);
    expect(urls).toEqual(['/guardrails/me']);
    expect(await troubleOf(api.submit({ notebook: 'a.ipynb' }))).toBe('missing');
    expect(urls).toHaveLength(2);
  });
});

describe('a failure', () => {
  it.each<[Trouble, string, string]>([
    ['said', 'The limits could not be read', 'Try again'],
    ['offline', 'The server cannot be reached', 'Try again'],
    ['late', 'The server does not answer', 'Try again'],
    ['missing', 'Guardrails does not run on this server', 'Try again'],
    ['older', 'The server part does not know this yet', 'Try again'],
    ['signed_out', 'You are signed out', 'Reload the page'],
    ['broken', 'The server failed at this', 'Try again']
  ])('%s says what it is and what to do', async (trouble, title, way) => {
    const { container } = render(
      <ErrorNotice
        error={new ApiError('<i>gone</i>', { trouble })}
        title="The limits could not be read"
        onRetry={() => undefined}
      />
    );
    expect(screen.getByText(title)).toBeTruthy();
    expect(screen.getByRole('button', { name: way })).toBeTruthy();
    expect(container.querySelector('i')).toBeNull();
    expect((await axe(container)).violations).toEqual([]);
  });
});

describe('the connection of a part of the panel', () => {
  let api: FakeApi;
  let model: QuotaModel;

  beforeEach(() => {
    jest.useFakeTimers();
    api = new FakeApi();
    model = new QuotaModel(api);
    const view = (): React.JSX.Element => <Connection model={model} me={model.me} />;
    const drawn = render(view());
    model.stateChanged.connect(() => act(() => drawn.rerender(view())));
  });

  afterEach(() => {
    model.dispose();
    jest.useRealTimers();
  });

  const word = (): string => document.querySelector('.jp-Guardrails-connection')?.textContent ?? 'none';

  it('says after some seconds that it still waits, and no longer than that', async () => {
    let answer: () => void = () => undefined;
    api.kernels = () => new Promise(resolve => (answer = () => resolve(api.kernelsAnswer)));
    model.visible = true;
    model.start();
    await act(() => jest.advanceTimersByTimeAsync(SLOW_MS - 100));
    expect(word()).toBe('');
    await act(() => jest.advanceTimersByTimeAsync(200));
    expect(word()).toBe('Still waiting for the server…');
    answer();
    await act(() => jest.advanceTimersByTimeAsync(0));
    expect(word()).toBe('');
  });

  it('says that the server is back, for a while', async () => {
    api.failure = new ApiError('gone', { offline: true });
    model.visible = true;
    model.start();
    await act(() => jest.advanceTimersByTimeAsync(0));
    expect(model.error?.trouble).toBe('offline');
    api.failure = null;
    await act(() => jest.advanceTimersByTimeAsync(60_000 + BACK_MS / 2)); // by itself, with its back-off
    expect(model.error).toBeNull();
    await act(async () => {
      api.failure = new ApiError('gone', { offline: true });
      await jest.advanceTimersByTimeAsync(10_000);
      api.failure = null;
      globalThis.dispatchEvent(new Event('online'));
      await jest.advanceTimersByTimeAsync(10);
    });
    expect(word()).toBe('The server answers again.');
    await act(() => jest.advanceTimersByTimeAsync(BACK_MS));
    expect(word()).toBe('');
  });

  it('does not call a refusal a server that was away', async () => {
    api.failure = new ApiError('no');
    model.visible = true;
    model.start();
    await act(() => jest.advanceTimersByTimeAsync(0));
    api.failure = null;
    await act(async () => {
      globalThis.dispatchEvent(new Event('online'));
      await jest.advanceTimersByTimeAsync(10);
    });
    expect(word()).toBe('');
  });

  it.each([
    [VERSION, 0],
    ['0.2.0', 1],
    [undefined, 1]
  ])('tells a server part of version %s from this page', async (version, notes) => {
    api.meAnswer = aMe({ version });
    model.visible = true;
    model.start();
    await act(() => jest.advanceTimersByTimeAsync(0));
    expect(screen.queryAllByText('Page and server have different versions')).toHaveLength(notes);
  });
});

describe('the version of this page', () => {
  it('is that of its package, as Python writes it', () => {
    const { version } = jest.requireActual<{ version: string }>('../../../package.json');
    expect(VERSION).toBe(version.replace(/-(a|b)\w*\.|-(rc)\./, '$1$2'));
  });
});

describe('what a server of another version says', () => {
  const NEW = 'paused_by_moon' as Submission['state'];

  let model: SubmissionModel;

  afterEach(() => model.dispose());

  async function shown(submission: Submission, production?: Production): Promise<HTMLElement> {
    const api = new FakeApi();
    api.submissionsAnswer = [submission];
    api.productionAnswer = production ?? api.productionAnswer;
    model = new SubmissionModel(api);
    model.notebook = submission.notebook;
    const view = (): React.JSX.Element => (
      <Boundary>
        <SubmitView model={model} notebooks={new FakeNotebooks()} />
      </Boundary>
    );
    const { container, rerender } = render(view());
    model.stateChanged.connect(() => act(() => rerender(view())));
    model.visible = true;
    await act(() => model.refresh());
    return container;
  }

  it('is shown by its own name where this page does not know it', async () => {
    const check = aCheck({ title: 'Tides', state: 'postponed' as 'passed' });
    const container = await shown(aSubmission({ state: NEW, label: 'paused by the moon', checks: [check] }));
    expect(container.textContent).toContain('paused by moon');
    expect(container.textContent).toContain('postponed');
    expect(container.textContent).not.toContain('could not be shown');
  });

  it('is no reason for reviewers and runs to be left out', async () => {
    const word = { reviewer: 'rita', decision: 'abstain' as 'approve', words: '', self_test: false, decided_at: NOW };
    const run = { number: 1, state: 'frozen' as 'lost' };
    const deployment = { id: 'd', engine: 'k8s', label: 'live', runs: [run] };
    const container = await shown(aSubmission({ state: 'deployed' }), {
      decisions: [word],
      deployments: [deployment]
    } as unknown as Production);
    for (const text of ['abstain', 'frozen', 'Run 1']) {
      expect(container.textContent).toContain(text);
    }
  });

  const REQUIRED = Object.keys(aSubmission()) as (keyof Submission)[];
  it.each(REQUIRED.filter(key => !['id', 'notebook', 'state'].includes(key)))('may lack %s', async key => {
    const whole = aSubmission({ state: 'in_review', package: 'churn-1.job.zip', checks: [aCheck()] });
    const less = Object.fromEntries(Object.entries(whole).filter(([name]) => name !== key));
    const container = await shown(less as unknown as Submission);
    expect(container.textContent).not.toContain('could not be shown');
    expect(screen.getByRole('region', { name: 'Submission of analysis/churn.ipynb' })).toBeTruthy();
  });

  it('takes down its own part and no other where nothing can be made of it, until it is tried again', () => {
    const errors = jest.spyOn(console, 'error').mockImplementation(() => undefined);
    let broken = true;
    const Part = (): React.JSX.Element => {
      if (broken) {
        throw new TypeError('checks is no list');
      }
      return <p>as usual</p>;
    };
    render(
      <Boundary>
        <Part />
      </Boundary>
    );
    expect(screen.getByRole('alert').textContent).toContain('checks is no list');
    broken = false;
    fireEvent.click(screen.getByRole('button', { name: 'Try again' }));
    expect(screen.getByText('as usual')).toBeTruthy();
    errors.mockRestore();
  });
});
