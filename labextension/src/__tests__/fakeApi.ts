import type { IGuardrailsApi } from '../api/client';
import type {
  AccessRequest,
  Budget,
  Check,
  Dataset,
  DatasetDetail,
  History,
  Kernel,
  Kernels,
  Me,
  Notice,
  Production,
  Publication,
  Publications,
  Reopened,
  Submission
} from '../api/generated/openapi';

export const GIB = 2 ** 30;
export const NOW = '2026-03-01T12:00:00Z';

export function aKernel(values: Partial<Kernel> = {}): Kernel {
  return {
    id: 'k1',
    kernelspec: 'python3',
    kind: 'kernel',
    notebook: 'analysis/churn.ipynb',
    profile: 'small',
    state: 'active',
    started_at: NOW,
    memory_bytes: GIB / 2,
    memory_peak_bytes: GIB,
    memory_limit_bytes: 2 * GIB,
    cpu_percent: 40,
    cpus: 1,
    cpu_s: 12,
    idle_s: 0,
    idle_limit_s: null,
    enforced: ['files'],
    notices: [],
    refused_reads: [],
    ...values
  };
}

export function aNotice(values: Partial<Notice> = {}): Notice {
  return {
    kind: 'budget',
    phase: 'noticed',
    share: 1.02,
    since: NOW,
    seconds_left: 600,
    ends_at: NOW,
    reason: 'your budget is used up: 40 of 40 cpu-hours',
    rule: 'guardrails.yaml:5 r',
    would: false,
    can: ['stop', 'more'],
    ...values
  };
}

export function aMe(values: Partial<Me> = {}): Me {
  return {
    person: 'ana',
    mode: 'own',
    boundary: 'Self-chosen policy: nobody else approves.',
    roles: ['scientist'],
    policy: { path: '/etc/guardrails.yaml', digest: 'd', mode: 'enforce', errors: [] },
    limits: [{ key: 'kernels.max', label: 'Kernels', value: '4', rule: 'guardrails.yaml:3 everyone' }],
    more: [
      {
        resource: 'kernels.max',
        label: 'Kernels at once',
        unit: 'kernels',
        limit: 4,
        rule: 'guardrails.yaml:3 everyone'
      },
      {
        resource: 'budget.cpu_hours',
        label: 'Processor time',
        unit: 'cpu-hours',
        limit: 40,
        rule: 'guardrails.yaml:5 r'
      },
      {
        resource: 'idle',
        label: 'Idle time of kernels',
        unit: 'seconds',
        limit: 7200,
        rule: 'guardrails.yaml:2 small'
      },
      { resource: 'profile.large', label: 'Profile large', unit: '', limit: null, rule: 'guardrails.yaml:2 large' }
    ],
    profiles: [
      { name: 'small', memory_bytes: 2 * GIB, cpus: 1, chosen: true },
      { name: 'large', memory_bytes: 8 * GIB, cpus: 4, chosen: false }
    ],
    enforced: [
      { name: 'files', held: true, how: 'Landlock', next_step: '' },
      { name: 'memory', held: false, how: 'measured only', next_step: 'delegate a cgroup' }
    ],
    ...values
  };
}

export function aDataset(values: Partial<Dataset> = {}): Dataset {
  return {
    name: 'nyc/flights',
    description: 'Flights of 2013',
    owner: 'carol',
    classification: 'internal',
    status: 'granted',
    format: 'parquet',
    columns: 2,
    size_bytes: 2048,
    updated_at: NOW,
    rule: 'guardrails.yaml:9 everyone',
    next_step: '',
    error: '',
    ...values
  };
}

export function aDetail(values: Partial<DatasetDetail> = {}): DatasetDetail {
  return {
    ...aDataset(),
    version: '1.0.0',
    path: '/data/flights.parquet',
    schema: [{ name: 'tailnum', type: 'string', classification: 'pii', mask: 'hash', description: 'Tail number' }],
    preview: { columns: ['tailnum'], rows: [['N14228'], [null]] },
    snippets: { path: 'guarded.path()', pandas: 'pd.read_parquet()' },
    quality: null,
    produced_by: null,
    inputs: [],
    ...values
  };
}

export function aCheck(values: Partial<Check> = {}): Check {
  return { name: 'order', title: 'Order', state: 'passed', detail: '', findings: [], ...values };
}

export function aSubmission(values: Partial<Submission> = {}): Submission {
  return {
    id: 's1',
    name: 'churn',
    version: 1,
    notebook: 'analysis/churn.ipynb',
    person: 'ana',
    state: 'checking',
    label: 'its checks are running',
    created_at: NOW,
    updated_at: NOW,
    checks: [],
    content_digest: '',
    evidence_digest: '',
    package: '',
    error: '',
    reason: '',
    next_step: '',
    ...values
  };
}

export const PRODUCED = {
  job: 'sales',
  version: 3,
  content_digest: '3f9a',
  deployment: 'd1',
  run: 12,
  output: 'sold.csv',
  self_test: false,
  text: 'job sales, version 3, run 12'
};

export function aPublication(values: Partial<Publication> = {}): Publication {
  return {
    name: 'team/churn',
    version: 1,
    author: 'ana',
    produced_by: null,
    state: 'private',
    description: 'monthly churn scores',
    classification: 'internal',
    inherited: 'internal',
    purposes: [],
    format: 'parquet',
    digest: '0123456789abcdef'.repeat(4),
    content_digest: 'f'.repeat(64),
    rule: 'guardrails.yaml:9 team-publishes',
    created_at: NOW,
    expires_at: null,
    group: '',
    inputs: [],
    waits_for: [],
    deciders: [],
    decisions: [],
    size_bytes: 2048,
    rows: 2,
    columns: [{ name: 'mail', type: 'string', classification: 'pii' }],
    scan: { by: 'presidio-analyzer', rows: 2, findings: [] },
    next_step: '',
    ...values
  };
}

/** The server's answers, held in fields that a test sets; `calls` records what was asked. */
export class FakeApi implements IGuardrailsApi {
  calls: string[] = [];
  failure: Error | null = null;
  meAnswer: Me = aMe();
  kernelsAnswer: Kernels = { kernels: [aKernel()], ended: [], max: 4, rule: '' };
  samples: History['samples'] = [];
  budgetAnswer: Budget = {
    cpu_hours: { used: 3, reserved: 0, limit: null },
    memory_gib_hours: { used: 1, reserved: 0, limit: null },
    gpu_hours: { used: 0, reserved: 0, limit: null },
    per_s: null,
    window: '',
    shared_by: '',
    time_left_s: null,
    at_limit: 'nothing happens',
    rule: ''
  };
  catalogue: Dataset[] = [aDataset(), aDataset({ name: 'hr/salaries', status: 'requestable' })];
  requestsAnswer: AccessRequest[] = [];
  submissionsAnswer: Submission[] = [];
  reopenedAnswer: Reopened = {
    folder: 'churn-1',
    notebook: 'churn-1/churn.ipynb',
    submission: 's1',
    content_digest: 'c'.repeat(64),
    parameters: { month: 6 },
    inputs: [
      { name: 'nyc/flights', version: '1.0.0', now: '2.0.0' },
      { name: 'hr/people', version: '1.0.0', now: null },
      { name: 'nyc/weather', version: '1.0.0', now: '1.0.0' }
    ],
    next_step: 'for its own environment: `jupyter guardrails job reopen s1 --to churn-1`'
  };
  productionAnswer: Production = {
    decisions: [],
    approvals: 0,
    needed: 1,
    missing: [],
    objections: null,
    deployments: []
  };
  publicationsAnswer: Publications = {
    publications: [],
    to_review: [],
    person: 'ana',
    groups: [],
    reviewed: true,
    imports: false
  };

  me = (): Promise<Me> => this.answer('me', this.meAnswer);
  kernels = (): Promise<Kernels> => this.answer('kernels', this.kernelsAnswer);
  budget = (): Promise<Budget> => this.answer('budget', this.budgetAnswer);
  history: IGuardrailsApi['history'] = id => this.answer(`history ${id}`, { id, samples: this.samples });
  requests: IGuardrailsApi['requests'] = () => this.answer('requests', { requests: this.requestsAnswer });
  publications: IGuardrailsApi['publications'] = () => this.answer('publications', this.publicationsAnswer);
  propose: IGuardrailsApi['propose'] = (name, group) =>
    this.answer(`propose ${name} ${group}`, this.moved(name, { state: 'proposed', group }));
  withdraw: IGuardrailsApi['withdraw'] = (name, reason) =>
    this.answer(`withdraw ${name} ${reason}`, this.moved(name, { state: 'withdrawn' }));
  production: IGuardrailsApi['production'] = id => this.answer(`production ${id}`, this.productionAnswer);
  submissions: IGuardrailsApi['submissions'] = ({ words, limit }) => {
    const found = this.submissionsAnswer.filter(({ notebook }) => notebook.includes(words));
    return this.answer(words ? `submissions ${words}` : 'submissions', {
      submissions: found.slice(0, limit),
      total: found.length
    });
  };
  submission: IGuardrailsApi['submission'] = id => this.answer(`submission ${id}`, this.submissionOf(id));
  cancel: IGuardrailsApi['cancel'] = id => this.answer(`cancel ${id}`, this.submissionOf(id));
  withdrawSubmission: IGuardrailsApi['withdrawSubmission'] = id =>
    this.answer(`withdraw ${id}`, this.changed(id, { state: 'withdrawn', label: 'withdrawn' }));
  share: IGuardrailsApi['share'] = (id, shared) => this.answer(`share ${id} ${shared}`, this.changed(id, { shared }));
  reopen: IGuardrailsApi['reopen'] = id => this.answer(`reopen ${id}`, this.reopenedAnswer);
  packageUrl = (id: string): string => `/guardrails/submissions/${id}/package`;

  dataset: IGuardrailsApi['dataset'] = name => this.answer(`dataset ${name}`, aDetail({ name }));

  datasets: IGuardrailsApi['datasets'] = ({ query, scope, offset, limit }) => {
    const found = this.catalogue.filter(d => d.name.includes(query) && (scope === 'all' || d.status === scope));
    const page = found.slice(offset, offset + limit);
    return this.answer(`datasets ${query} ${scope}${offset > 0 ? ` from ${offset}` : ''}`, {
      datasets: page,
      total: found.length
    });
  };

  chooseProfile: IGuardrailsApi['chooseProfile'] = choice => {
    const chosen = this.meAnswer.profiles.map(profile => ({ ...profile, chosen: profile.name === choice.profile }));
    this.meAnswer = this.failure ? this.meAnswer : { ...this.meAnswer, profiles: chosen };
    return this.answer(`profile ${choice.profile}`, choice);
  };

  requestAccess: IGuardrailsApi['requestAccess'] = ask => {
    const { dataset, purpose, days = 30 } = ask;
    const made: AccessRequest = {
      id: 'r1',
      kind: 'access',
      dataset,
      person: 'ana',
      purpose,
      days,
      state: 'open',
      created_at: NOW
    };
    this.requestsAnswer = this.failure ? this.requestsAnswer : [made];
    return this.answer(`request ${dataset} ${purpose} ${days}`, made);
  };

  requestPackage: IGuardrailsApi['requestPackage'] = ({ package: name, purpose, days = 90 }) => {
    const made: AccessRequest = {
      id: `p-${name}`,
      kind: 'package',
      dataset: '',
      package: name.toLowerCase(),
      also: [],
      person: 'ana',
      purpose,
      days,
      state: 'open',
      created_at: NOW
    };
    this.requestsAnswer = this.failure ? this.requestsAnswer : [made, ...this.requestsAnswer];
    return this.answer(`package ${name} ${purpose} ${days}`, made);
  };

  keepKernel: IGuardrailsApi['keepKernel'] = id => {
    const kernels = this.kernelsAnswer.kernels.map(kernel => (kernel.id === id ? { ...kernel, notices: [] } : kernel));
    this.kernelsAnswer = this.failure ? this.kernelsAnswer : { ...this.kernelsAnswer, kernels };
    return this.answer(`keep ${id}`, { kernel: id, idle_limit_s: 7200 });
  };

  stopKernel: IGuardrailsApi['stopKernel'] = id => {
    const kernels = this.kernelsAnswer.kernels.filter(kernel => kernel.id !== id);
    this.kernelsAnswer = this.failure ? this.kernelsAnswer : { ...this.kernelsAnswer, kernels };
    return this.answer(`stop ${id}`, { kernel: id, kind: 'kernel', notebook: null, reason: 'stopped by you' });
  };

  requestMore: IGuardrailsApi['requestMore'] = ask => {
    const { resource, amount, until, purpose } = ask;
    const same = {
      id: 'r2',
      kind: 'more',
      dataset: '',
      person: 'ana',
      days: 1,
      state: 'open',
      created_at: NOW
    } as const;
    return this.answer(`more ${resource} ${amount ?? '-'} ${purpose}`, { ...same, resource, amount, until, purpose });
  };

  submit: IGuardrailsApi['submit'] = asked => {
    const made = aSubmission({ notebook: asked.notebook });
    this.submissionsAnswer = this.failure ? this.submissionsAnswer : [made];
    return this.answer(`submit ${JSON.stringify(asked)}`, made);
  };

  bring: IGuardrailsApi['bring'] = ({ file, name, description }) => {
    const made = aPublication({ name, description });
    if (!this.failure) {
      const publications = [made, ...this.publicationsAnswer.publications];
      this.publicationsAnswer = { ...this.publicationsAnswer, publications };
    }
    return this.answer(`bring ${file} ${name} ${description}`, made);
  };

  private moved(name: string, values: Partial<Publication>): Publication {
    const publications = this.publicationsAnswer.publications.map(one =>
      one.name === name && !this.failure ? { ...one, ...values } : one
    );
    this.publicationsAnswer = { ...this.publicationsAnswer, publications };
    return publications.find(one => one.name === name) ?? aPublication({ name, ...values });
  }

  private changed(id: string, values: Partial<Submission>): Submission {
    if (!this.failure) {
      this.submissionsAnswer = this.submissionsAnswer.map(one => (one.id === id ? { ...one, ...values } : one));
    }
    return this.submissionOf(id);
  }

  private submissionOf(id: string): Submission {
    return this.submissionsAnswer.find(submission => submission.id === id) ?? aSubmission({ id });
  }

  private answer<T>(call: string, value: T): Promise<T> {
    this.calls.push(call);
    return this.failure ? Promise.reject(this.failure) : Promise.resolve(value);
  }
}
