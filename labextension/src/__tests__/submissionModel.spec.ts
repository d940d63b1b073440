import { ApiError } from '../api/errors';
import type { Submission } from '../api/generated/openapi';
import { isChecking, needsReason, SubmissionModel } from '../state/submissionModel';
import { aCheck, aSubmission, FakeApi } from './fakeApi';

const PATH = 'analysis/churn.ipynb';

describe('SubmissionModel', () => {
  let api: FakeApi;
  let model: SubmissionModel;
  const save = (): Promise<void> => {
    api.calls.push('save');
    return Promise.resolve();
  };

  beforeEach(() => {
    api = new FakeApi();
    model = new SubmissionModel(api);
    model.notebook = PATH;
    model.visible = true;
  });

  afterEach(() => model.dispose());

  it('saves before it submits, and says whether it is a draft', async () => {
    await model.submit(PATH, { draft: true, save });
    expect(api.calls.slice(0, 2)).toEqual(['save', `submit {"notebook":"${PATH}","draft":true}`]);
    expect(model.shown?.id).toBe('s1');
  });

  it('gives the reason for warnings along', async () => {
    await model.submit(PATH, { draft: false, save, reason: 'known' });
    expect(api.calls).toContain(`submit {"notebook":"${PATH}","draft":false,"reason":"known"}`);
  });

  it('submits nothing that could not be saved', async () => {
    await model.submit(PATH, { draft: false, save: () => Promise.reject(new Error('disk full')) });
    expect(model.actionError?.message).toBe('disk full');
    expect(model.sending).toBeNull();
    expect(api.calls.filter(call => call.startsWith('submit'))).toEqual([]);
  });

  it('sends once, however often one clicks', async () => {
    await Promise.all([model.submit(PATH, { draft: false, save }), model.submit(PATH, { draft: false, save })]);
    expect(api.calls.filter(call => call.startsWith('submit {'))).toHaveLength(1);
  });

  it('shows why a submission was refused', async () => {
    api.failure = new ApiError('no', { nextStep: 'ask platform' });
    await model.submit(PATH, { draft: false, save });
    expect(model.actionError?.nextStep).toBe('ask platform');
    expect(model.shown).toBeNull();
  });

  it('follows checks to their end, and says so once', async () => {
    const ended: Submission[] = [];
    model.finished.connect((_, submission) => ended.push(submission));
    await model.refresh();
    await model.submit(PATH, { draft: false, save });
    await model.refresh();
    api.calls = [];
    await model.refresh();
    expect(api.calls).toEqual(['submission s1']);
    api.submissionsAnswer = [aSubmission({ state: 'in_review' })];
    await model.refresh();
    expect(ended.map(({ state }) => state)).toEqual(['in_review']);
    await model.refresh();
    expect(ended).toHaveLength(1);
  });

  it('goes on following while its view is hidden, and rests afterwards', async () => {
    await model.submit(PATH, { draft: false, save });
    await model.refresh();
    model.visible = false;
    api.submissionsAnswer = [aSubmission({ state: 'checks_failed' })];
    await model.refresh();
    expect(model.shown?.state).toBe('checks_failed');
    api.calls = [];
    await model.refresh();
    expect(api.calls).toEqual([]);
  });

  it('shows the newest of the notebook in front, or the chosen one', async () => {
    api.submissionsAnswer = [
      aSubmission({ id: 'other', notebook: 'b.ipynb', state: 'in_review' }),
      aSubmission({ id: 'new', state: 'draft' }),
      aSubmission({ id: 'old', state: 'cancelled' })
    ];
    await model.refresh();
    expect(model.shown?.id).toBe('new');
    model.select('old');
    expect(model.shown?.id).toBe('old');
    model.notebook = 'b.ipynb';
    expect(model.shown?.id).toBe('other');
  });

  it('cancels', async () => {
    await model.submit(PATH, { draft: false, save });
    api.submissionsAnswer = [aSubmission({ state: 'cancelled' })];
    await model.cancel('s1');
    expect(model.shown?.state).toBe('cancelled');
  });

  it.each<[Submission['state'], Partial<Submission>, boolean]>([
    ['draft', { error: 'cancelled' }, false],
    ['draft', {}, true],
    ['checks_failed', {}, true],
    ['checks_failed', { reason: 'known' }, false],
    ['checks_failed', { checks: [aCheck({ state: 'warned' }), aCheck({ state: 'failed' })] }, false],
    ['draft', { checks: [aCheck()] }, false]
  ])('%s with warnings and %p: a reason is asked for: %s', (state, values, asked) => {
    expect(needsReason(aSubmission({ state, checks: [aCheck({ state: 'warned' })], ...values }))).toBe(asked);
  });

  it.each([
    ['submitted', [], true],
    ['checking', [aCheck()], true],
    ['draft', [], true],
    ['draft', [aCheck()], false],
    ['checks_failed', [], false],
    ['in_review', [], false]
  ] as const)('%s with checks %j: checking %s', (state, checks, checking) => {
    expect(isChecking(aSubmission({ state, checks: [...checks] }))).toBe(checking);
  });

  it('does not take a list for new that was asked for before one was submitted', async () => {
    let answer: (value: { submissions: Submission[]; total: number }) => void = () => undefined;
    const answered = api.submissions;
    const asked = new Promise<void>(resolve => {
      api.submissions = () => {
        api.submissions = answered;
        resolve();
        return new Promise(late => (answer = late));
      };
    });
    const refreshed = model.refresh();
    await asked;
    await model.submit(PATH, { draft: true, save });
    answer({ submissions: [], total: 0 });
    await refreshed;
    expect(model.shown?.id).toBe('s1');
  });

  describe('with five hundred of them', () => {
    const stored = (number: number): Submission =>
      aSubmission({
        id: `s${number}`,
        notebook: `team/n${number}.ipynb`,
        state: 'in_review',
        created_at: new Date(Date.UTC(2026, 0, 1) - number * 60_000).toISOString()
      });

    beforeEach(async () => {
      api.submissionsAnswer = Array.from({ length: 500 }, (_, number) => stored(number));
      await model.refresh();
    });

    it('reads fifty, and older ones when they are wanted', async () => {
      expect([model.listed.length, model.total]).toEqual([50, 500]);
      await model.older();
      expect(model.listed.map(({ id }) => id)).toEqual(Array.from({ length: 100 }, (_, number) => `s${number}`));
    });

    it('finds one by its notebook on the server, wherever it stands', async () => {
      jest.useFakeTimers();
      model.search('n499');
      await jest.advanceTimersByTimeAsync(1000);
      jest.useRealTimers();
      expect(api.calls).toContain('submissions n499');
      expect(model.listed.map(({ id }) => id)).toEqual(['s499']);
    });

    it('knows the one of the notebook in front also where it stands further back', async () => {
      model.notebook = 'team/n321.ipynb';
      await model.refresh();
      expect(model.shown?.id).toBe('s321');
      expect(model.listed).toHaveLength(50);
      model.notebook = 'team/n7.ipynb';
      expect(model.shown?.id).toBe('s7');
      api.calls = [];
      await model.refresh();
      expect(api.calls.filter(call => call.startsWith('submissions '))).toEqual([]);
    });

    it('follows one that is shown and not in the list', async () => {
      model.select('s3');
      model.search('n9');
      await model.refresh();
      api.submissionsAnswer = api.submissionsAnswer.map(one => (one.id === 's3' ? { ...one, state: 'approved' } : one));
      await model.refresh();
      expect(model.listed.some(({ id }) => id === 's3')).toBe(false);
      expect(model.shown?.state).toBe('approved');
    });

    it('searches also while one is being checked', async () => {
      const before = api.submissionsAnswer;
      await model.submit('team/new.ipynb', { draft: true, save });
      api.submissionsAnswer = [...api.submissionsAnswer, ...before];
      await model.refresh();
      model.search('n42');
      await model.refresh();
      expect(model.listed.map(({ notebook }) => notebook)).toContain('team/n42.ipynb');
    });
  });

  it('takes back and shares, or says why not', async () => {
    api.submissionsAnswer = [aSubmission({ state: 'in_review' })];
    await model.refresh();
    await model.withdraw('s1');
    expect(model.shown?.state).toBe('withdrawn');
    api.failure = new ApiError('it is withdrawn', { nextStep: 'submit it again' });
    await model.share('s1', true);
    expect(model.actionError?.message).toBe('it is withdrawn');
  });
});
