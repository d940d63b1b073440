import { ApiError } from '../api/errors';
import { ReviewModel } from '../state/reviewModel';
import { aLine, aProposal, aReview, FakeReviews } from './fakeReviews';

describe('the desk of a reviewer', () => {
  let api: FakeReviews;
  let model: ReviewModel;

  beforeEach(() => {
    api = new FakeReviews();
    model = new ReviewModel(api);
    model.visible = true;
  });

  afterEach(() => model.dispose());

  it('has jobs, published data and requests in one list, oldest first', async () => {
    api.desk = {
      ...api.desk,
      waiting: [aLine({ updated_at: '2026-03-02T12:00:00Z' })],
      publications: [aProposal({ created_at: '2026-03-01T12:00:00Z' })],
      requests: [
        {
          id: 'r1',
          kind: 'package',
          dataset: '',
          package: 'polars',
          person: 'ben',
          purpose: 'faster',
          days: 90,
          state: 'open',
          created_at: '2026-03-03T12:00:00Z'
        }
      ]
    };
    await model.refresh();
    expect(model.desk.waiting.map(({ key, kind, title }) => [key, kind, title])).toEqual([
      ['data team/churn', 'data', 'team/churn'],
      ['job s1', 'job', 'churn-1'],
      ['request r1', 'package', 'polars']
    ]);
  });

  it('reads the one that is looked at again only when the list says that it is another', async () => {
    api.desk = { ...api.desk, waiting: [aLine()] };
    await model.refresh();
    await model.select('job s1');
    await model.refresh();
    expect(api.calls.filter(call => call === 'review s1')).toHaveLength(1);
    api.desk = { ...api.desk, waiting: [aLine({ decisions: 1 })] };
    api.one = aReview({ approvals: 1 });
    await model.refresh();
    expect(model.review?.approvals).toBe(1);
    api.desk = { ...api.desk, waiting: [] };
    api.one = aReview({ approvals: 2 });
    await model.refresh();
    expect(model.review?.approvals).toBe(2);
    await model.refresh();
    expect(api.calls.filter(call => call === 'review s1')).toHaveLength(3);
  });

  it('keeps what was read, with the reason, when the one that is looked at can not be read again', async () => {
    await model.refresh();
    await model.select('job s1');
    api.oneFailure = new ApiError('there is no submission s1', { status: 404 });
    await model.reload();
    expect(model.reviewError?.message).toBe('there is no submission s1');
    expect(model.review).not.toBeNull();
    api.oneFailure = null;
    await model.refresh();
    expect(model.reviewError).toBeNull();
  });

  it('shows nothing of the one before while another is read', async () => {
    await model.refresh();
    await model.select('job s1');
    const reading = model.select('job s2');
    expect(model.review).toBeNull();
    await reading;
    expect(api.calls).toContain('review s2');
  });

  it('asks nothing while nobody looks', async () => {
    model.visible = false;
    api.calls = [];
    model.start();
    await Promise.resolve();
    expect(api.calls).toEqual([]);
    expect(model.loaded).toBe(false);
  });
});
