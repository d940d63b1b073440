import type { Publication, Review, ReviewContent, ReviewLine, Reviews } from '../api/generated/openapi';
import type { IReviewsApi } from '../api/reviews';
import { aPublication, aSubmission, NOW } from './fakeApi';

export function aLine(values: Partial<ReviewLine> = {}): ReviewLine {
  return {
    id: 's1',
    name: 'churn',
    version: 1,
    notebook: 'analysis/churn.ipynb',
    person: 'ana',
    state: 'in_review',
    label: 'waits for its reviewers',
    created_at: NOW,
    updated_at: NOW,
    decisions: 0,
    ...values
  };
}

export function aReview(values: Partial<Review> = {}): Review {
  const label = 'waits for its reviewers: nobody else has approved this yet';
  return {
    submission: aSubmission({ state: 'in_review', label, content_digest: 'c'.repeat(64), package: 'churn-1.job.zip' }),
    decisions: [],
    approvals: 0,
    needed: 1,
    label,
    missing: ['1 more reviewer must approve it'],
    objections: null,
    before: null,
    data: [],
    cost: null,
    cost_before: null,
    ...values
  };
}

export function aProposal(values: Partial<Publication> = {}): Publication {
  return aPublication({ state: 'proposed', group: 'team', ...values });
}

/** The server's answers to a reviewer, held in fields that a test sets; `calls` records what was asked. */
export class FakeReviews implements IReviewsApi {
  calls: string[] = [];
  failure: Error | null = null;
  desk: Reviews = {
    person: 'rita',
    service: true,
    reviewer: { allowed: true, reason: 'rita is a reviewer', rule: 'guardrails.yaml:9', next_step: '' },
    waiting: [],
    drafts: [],
    decided: [],
    publications: [],
    requests: []
  };
  one: Review = aReview();
  oneFailure: Error | null = null;
  content: ReviewContent = {
    changes: null,
    inputs: [],
    outputs: [],
    resources: { cpus: 1, memory_bytes: 2 ** 30, wall_s: 3600 }
  };
  contentFailure: Error | null = null;

  reviews = (): Promise<Reviews> => this.answer('reviews', this.desk, this.failure);
  review = (id: string): Promise<Review> => this.answer(`review ${id}`, this.one, this.failure ?? this.oneFailure);

  reviewContent = (id: string): Promise<ReviewContent> =>
    this.answer(`content ${id}`, this.content, this.contentFailure);
  cleanRunUrl: IReviewsApi['cleanRunUrl'] = (id, theme) => `/guardrails/reviews/${id}/clean-run?theme=${theme}`;

  private answer<T>(call: string, value: T, failure: Error | null): Promise<T> {
    this.calls.push(call);
    return failure ? Promise.reject(failure) : Promise.resolve(value);
  }
}
