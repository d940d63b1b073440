import { ApiError } from '../api/errors';
import { QuotaModel } from '../state/quotaModel';
import { aKernel, FakeApi } from './fakeApi';

describe('QuotaModel', () => {
  let api: FakeApi;
  let now: number;
  let model: QuotaModel;

  beforeEach(() => {
    api = new FakeApi();
    now = 0;
    model = new QuotaModel(api, () => now);
  });

  afterEach(() => model.dispose());

  it('reads everything at first', async () => {
    await model.refresh();
    expect(model.loaded).toBe(true);
    expect([...api.calls].sort()).toEqual(['budget', 'kernels', 'me', 'requests']);
    expect(model.me?.person).toBe('ana');
    expect(model.error).toBeNull();
  });

  it('asks nothing for a view that is there before JupyterLab is ready, and once it is, at once', async () => {
    model.visible = true;
    await new Promise(resolve => setTimeout(resolve));
    expect(api.calls).toEqual([]);
    const answered = new Promise(resolve => model.stateChanged.connect(resolve));
    model.start();
    await answered;
    expect(api.calls).toContain('kernels');
  });

  it('reads only kernels while nobody looks at the limits', async () => {
    model.setCurrentKernel('k1', false);
    await model.refresh();
    now = 1e6;
    api.calls = [];
    await model.refresh();
    expect(api.calls).toEqual(['kernels']);
  });

  it('reads policy and budget again with every view, but not each time', async () => {
    model.visible = true;
    await model.refresh();
    api.calls = [];
    now = 3000;
    await model.refresh();
    expect(api.calls).toEqual(['kernels']);
    now = 20_000;
    api.calls = [];
    await model.refresh();
    expect(api.calls).toContain('me');
    expect(api.calls).toContain('budget');
  });

  it('asks nothing when there is neither a view nor a notebook', async () => {
    await model.refresh();
    api.calls = [];
    await model.refresh();
    expect(api.calls).toEqual([]);
  });

  it('keeps what it knew when the server is away, and recovers', async () => {
    model.visible = true;
    await model.refresh();
    api.failure = new ApiError('gone', { offline: true });
    await model.refresh();
    expect(model.error?.offline).toBe(true);
    expect(model.me?.person).toBe('ana');
    api.failure = null;
    await model.refresh();
    expect(model.error).toBeNull();
  });

  it('is never silent for long while it can be seen, however long the server is away', async () => {
    const waits = jest.spyOn(globalThis, 'setTimeout');
    const longest = async (): Promise<number> => {
      waits.mockClear();
      for (let failed = 0; failed < 12; failed++) {
        await model.refresh();
      }
      return Math.max(...waits.mock.calls.map(([, ms]) => ms ?? 0));
    };
    model.setCurrentKernel('k1', false);
    model.start();
    api.failure = new ApiError('control does not answer');
    const unseen = await longest();
    model.visible = true;
    expect(unseen).toBeGreaterThan(15_000);
    expect(await longest()).toBeLessThanOrEqual(15_000);
    waits.mockRestore();
  });

  it('knows the kernel of the notebook in front', async () => {
    api.kernelsAnswer = {
      kernels: [aKernel({ id: 'k1' }), aKernel({ id: 'k2', profile: 'large' })],
      ended: [],
      max: 4,
      rule: ''
    };
    model.setCurrentKernel('k2', true);
    await model.refresh();
    expect(model.current?.profile).toBe('large');
    model.setCurrentKernel('gone', false);
    expect(model.current).toBeNull();
  });

  it('says when a kernel must restart to have the chosen profile', async () => {
    model.setCurrentKernel('k1', false);
    await model.refresh();
    expect(model.restartNeeded).toBe(false);
    await model.choose('large');
    expect(api.calls).toContain('profile large');
    expect(model.chosen).toBe('large');
    expect(model.restartNeeded).toBe(true);
  });

  it('keeps the old profile when the choice is refused, with the reason', async () => {
    model.setCurrentKernel('k1', false);
    await model.refresh();
    api.failure = new ApiError('not yours', { rule: 'guardrails.yaml:3 r' });
    await model.choose('large');
    expect(model.chosen).toBe('small');
    expect(model.choiceError?.rule).toBe('guardrails.yaml:3 r');
  });
});
