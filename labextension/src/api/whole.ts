import type { Check, Deployment, Production, Run, Submission } from './generated/openapi';

/** What stands for what a server part of another version left out. */
const CHECK: Partial<Check> = { title: '', state: 'not_checked', detail: '', findings: [] };
const RUN: Partial<Run> = { drift: [], outputs: [], error: '', log_tail: '' };
const DEPLOYMENT: Partial<Deployment> = {
  label: '',
  engine: '',
  run_as: '',
  reason: '',
  schedule: '',
  drift: [],
  runs: []
};
const PRODUCTION: Partial<Production> = {
  decisions: [],
  approvals: 0,
  needed: 0,
  missing: [],
  objections: null,
  deployments: []
};
const SUBMISSION: Partial<Submission> = {
  ...{ version: 0, person: '', created_at: '', updated_at: '', error: '', reason: '', next_step: '' },
  ...{ checks: [], content_digest: '', evidence_digest: '', package: '' }
};

/** A submission with all that this page shows, whatever the server part left out. */
export function wholeSubmission(said: Submission): Submission {
  const names: Partial<Submission> = { name: said.notebook, label: said.state };
  const whole = { ...SUBMISSION, ...names, ...said };
  return { ...whole, checks: whole.checks.map(check => ({ ...CHECK, ...check })) };
}

/** What became of a submission, in the same way. */
export function wholeProduction(said: Production): Production {
  const whole = { ...PRODUCTION, ...said };
  const deployments = whole.deployments.map(one => ({ ...DEPLOYMENT, ...one }));
  return {
    ...whole,
    deployments: deployments.map(one => ({ ...one, runs: one.runs.map(run => ({ ...RUN, ...run })) }))
  };
}
