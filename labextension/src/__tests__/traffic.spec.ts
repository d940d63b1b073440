import { ApiError } from '../api/errors';
import { ALONE_MS, attention } from '../state/attention';
import { DatasetModel } from '../state/datasetModel';
import { PollModel } from '../state/pollModel';
import { QuotaModel } from '../state/quotaModel';
import { SubmissionModel } from '../state/submissionModel';
import { aKernel, aSubmission, FakeApi } from './fakeApi';

const MINUTE = 60_000;

function hide(hidden: boolean): void {
  Object.defineProperty(document, 'hidden', { configurable: true, get: () => hidden });
  Object.defineProperty(document, 'visibilityState', {
    configurable: true,
    get: () => (hidden ? 'hidden' : 'visible')
  });
  document.dispatchEvent(new Event('visibilitychange'));
}

const touch = (): boolean => globalThis.dispatchEvent(new Event('pointerdown'));

describe('the traffic of one tab with a kernel', () => {
  let api: FakeApi;
  let models: Record<'limits' | 'data' | 'submit', PollModel>;

  beforeEach(async () => {
    jest.useFakeTimers();
    touch();
    api = new FakeApi();
    const quotas = new QuotaModel(api);
    models = { limits: quotas, data: new DatasetModel(api), submit: new SubmissionModel(api) };
    quotas.setCurrentKernel(aKernel().id, false);
    Object.values(models).forEach(model => model.start());
    await jest.advanceTimersByTimeAsync(100);
  });

  afterEach(() => {
    Object.values(models).forEach(model => model.dispose());
    hide(false);
    jest.useRealTimers();
  });

  const callsIn = async (ms: number): Promise<number> => {
    api.calls = [];
    await jest.advanceTimersByTimeAsync(ms);
    return api.calls.length;
  };

  it('is one request each half minute at most while nothing of the panel can be seen', async () => {
    expect(await callsIn(10 * MINUTE)).toBeLessThanOrEqual(20);
    expect(api.calls).toContain('kernels');
  });

  it.each(['limits', 'data', 'submit'] as const)('is no more with %s in sight once it was left alone', async part => {
    models[part].visible = true;
    await jest.advanceTimersByTimeAsync(ALONE_MS + 5 * MINUTE); // the last reading before is over
    expect(await callsIn(60 * MINUTE)).toBeLessThanOrEqual(120);
    expect(api.calls.length).toBeGreaterThan(20);
  });

  it('is quick again with the first touch', async () => {
    models.limits.visible = true;
    await jest.advanceTimersByTimeAsync(ALONE_MS + 5 * MINUTE);
    api.calls = [];
    touch();
    await jest.advanceTimersByTimeAsync(100);
    expect(api.calls).toContain('kernels');
    expect(await callsIn(MINUTE)).toBeGreaterThanOrEqual(16);
  });

  it('goes on while checks run, whoever looks', async () => {
    api.submissionsAnswer = [aSubmission()];
    models.submit.visible = true;
    await jest.advanceTimersByTimeAsync(100);
    models.submit.visible = false;
    await jest.advanceTimersByTimeAsync(ALONE_MS);
    expect(await callsIn(MINUTE)).toBeGreaterThanOrEqual(45);
  });

  it('is none while the page is hidden, and begins at once when it comes back', async () => {
    models.limits.visible = true;
    hide(true);
    expect(await callsIn(60 * MINUTE)).toBe(0);
    hide(false);
    expect(await callsIn(1000)).toBeGreaterThan(0);
  });

  it('becomes less with each failure', async () => {
    models.limits.visible = false;
    api.failure = new ApiError('gone', { offline: true });
    await jest.advanceTimersByTimeAsync(30 * MINUTE);
    expect(await callsIn(60 * MINUTE)).toBeLessThanOrEqual(26);
  });

  it('is less where the server has no part of ours, also in sight', async () => {
    models.limits.visible = true;
    api.failure = new ApiError('404', { trouble: 'missing' });
    await jest.advanceTimersByTimeAsync(30 * MINUTE);
    expect(await callsIn(60 * MINUTE)).toBeLessThanOrEqual(60);
  });
});

describe('twenty tabs that were opened at once', () => {
  it('do not ask at the same time for long', async () => {
    jest.useFakeTimers();
    touch();
    const asked: number[] = [];
    const tabs = Array.from({ length: 20 }, () => {
      const api = new FakeApi();
      const { kernels } = api;
      api.kernels = () => {
        asked.push(Math.floor(Date.now() / 100));
        return kernels();
      };
      const model = new QuotaModel(api);
      model.setCurrentKernel('k1', false);
      model.start();
      return model;
    });
    await jest.advanceTimersByTimeAsync(4.5 * MINUTE);
    const last = asked.slice(-20);
    expect(new Set(last).size).toBeGreaterThanOrEqual(10); // in tenths of a second
    tabs.forEach(tab => tab.dispose());
    jest.useRealTimers();
  });
});

describe('attention', () => {
  it('is back once for many touches', () => {
    jest.useFakeTimers();
    touch();
    let returns = 0;
    const count = (): void => void (returns += 1);
    attention.returned.connect(count);
    jest.advanceTimersByTime(ALONE_MS + 1);
    expect(attention.isAway).toBe(true);
    touch();
    touch();
    expect([attention.isAway, returns]).toEqual([false, 1]);
    attention.returned.disconnect(count);
    jest.useRealTimers();
  });
});

describe('a reading that is asked for', () => {
  class Slow extends PollModel {
    readings = 0;
    answer = (): void => undefined;

    protected load(): Promise<void> {
      this.readings += 1;
      return new Promise(resolve => (this.answer = resolve));
    }

    protected interval(): number {
      return MINUTE;
    }
  }

  const settled = (): Promise<void> => new Promise(resolve => setTimeout(resolve, 20));
  let model: Slow;
  let underWay: Promise<void>;

  beforeEach(async () => {
    model = new Slow('slow');
    underWay = model.refresh();
    await settled();
  });

  afterEach(() => model.dispose());

  it('is one from after that: what is under way may have been read before', async () => {
    let done = 0;
    const count = (): number => (done += 1);
    const asked = Promise.all([model.refresh().then(count), model.refresh().then(count)]);
    await settled();
    expect([model.readings, done]).toEqual([1, 0]);
    model.answer();
    await underWay;
    await settled();
    expect([model.readings, done]).toEqual([2, 0]);
    model.answer();
    await asked;
    expect([model.readings, done]).toEqual([2, 2]);
  });

  it('is none more where the model only came into sight', async () => {
    model.start();
    model.visible = true;
    await settled();
    model.answer();
    await underWay;
    await settled();
    expect(model.readings).toBe(1);
  });
});
