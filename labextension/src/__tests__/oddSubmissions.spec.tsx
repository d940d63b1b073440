import { act, render } from '@testing-library/react';
import React from 'react';

import { SubmitView } from '../features/submit/SubmitView';
import { SubmissionModel } from '../state/submissionModel';
import { aCheck, aSubmission, FakeApi, NOW } from './fakeApi';
import { FakeNotebooks } from './fakeNotebooks';

it('shows texts of any length and direction as text, and no more than can be read', async () => {
  const odd = `<img src=x onerror=alert(1)> \u05e9\u05dc\u05d5\u05dd \u202e\`code\` ${'x\`y'.repeat(2_000_000)}`;
  const api = new FakeApi();
  const findings = [{ message: odd, fix: odd, cell: 0, line: null }];
  const check = aCheck({ state: 'failed', detail: odd, findings });
  api.submissionsAnswer = [aSubmission({ state: 'approved', checks: [check], reason: odd, error: odd })];
  const word = { reviewer: 'rita', decision: 'approve', words: odd, self_test: false, decided_at: NOW } as const;
  const run = { number: 1, state: 'failed', exit_code: 1, peak_bytes: null, attempts: 1, cell: 3, error: odd } as const;
  const times = { started_at: NOW, ended_at: NOW };
  const live = { id: 'd1', engine: 'local', state: 'live', label: 'live', schedule: '', run_as: 'batch' } as const;
  api.productionAnswer = {
    ...api.productionAnswer,
    decisions: [word],
    deployments: [
      {
        ...live,
        reason: '',
        created_at: NOW,
        drift: [],
        runs: [{ ...run, ...times, log_tail: odd, drift: [], outputs: [] }]
      }
    ]
  };
  const model = new SubmissionModel(api);
  const notebooks = new FakeNotebooks();
  model.notebook = notebooks.path;
  const view = (): React.JSX.Element => <SubmitView model={model} notebooks={notebooks} />;
  const { container, rerender } = render(view());
  await act(() => model.refresh());
  rerender(view());
  expect(container.querySelector('img')).toBeNull();
  expect(container.querySelector('pre')).not.toBeNull();
  expect(container.textContent).toContain('<img src=x');
  expect(container.querySelectorAll('bdi').length).toBeGreaterThan(3);
  expect(container.textContent?.length).toBeLessThan(60_000);
  expect(container.querySelectorAll('*').length).toBeLessThan(5000);
  model.dispose();
});
