import { render, screen, within } from '@testing-library/react';
import { axe } from 'jest-axe';
import React from 'react';

import type { QualityCheck } from '../api/generated/openapi';
import { DatasetDetails } from '../features/datasets/DatasetDetails';
import { DatasetModel } from '../state/datasetModel';
import { aDetail, FakeApi, PRODUCED } from './fakeApi';
import { FakeNotebooks } from './fakeNotebooks';

function aQualityCheck(values: Partial<QualityCheck> = {}): QualityCheck {
  const numbers = { count: 0, percent: 0 };
  const words = {
    name: '',
    column: 'email',
    text: '',
    limit: 'exactly 0 null values in email',
    severity: '',
    reason: ''
  };
  return { ...words, ...numbers, state: 'passed', ...values };
}

const CHECKS = [
  aQualityCheck(),
  aQualityCheck({
    state: 'failed',
    limit: 'at most 5 % invalid values in region',
    count: 12,
    percent: 7.512,
    severity: 'error'
  }),
  aQualityCheck({
    state: 'not_checked',
    limit: 'at least 9 rows',
    count: null,
    percent: null,
    reason: 'the data has no column x'
  }),
  aQualityCheck({ state: 'text', limit: 'Ask dana', text: 'Ask dana', count: null, percent: null })
];

describe('the quality of a dataset', () => {
  function show(values: Parameters<typeof aDetail>[0]): HTMLElement {
    const model = new DatasetModel(new FakeApi());
    return render(<DatasetDetails detail={aDetail(values)} model={model} notebooks={new FakeNotebooks()} />).container;
  }

  it('is a sum with its time, and each check with its words', async () => {
    const checked_at = new Date(Date.now() - 2 * 3600_000).toISOString();
    const container = show({
      quality: { checked_at, version: '1.0.0', summary: '1 of 3 checks passed', checks: CHECKS }
    });
    expect(container.textContent).toContain('1 of 3 checks passed, 2 h ago');
    const items = within(screen.getByRole('list', { name: 'Quality checks' })).getAllByRole('listitem');
    expect(items.map(item => item.textContent)).toEqual([
      'exactly 0 null values in emailpassedfound: 0 (0 %)',
      'at most 5 % invalid values in regionfailedfound: 12 (7.51 %) · error',
      'at least 9 rowsnot checkedthe data has no column x',
      'Ask dana'
    ]);
    expect((await axe(container)).violations).toEqual([]);
  });

  it('is not there for data without rules, and says so where nothing was checked', () => {
    expect(show({ quality: null }).textContent).not.toContain('Quality');
    const quality = { checked_at: null, version: '', summary: 'not checked yet', checks: CHECKS.slice(0, 1) };
    expect(show({ quality }).textContent).toContain('not checked yet');
  });

  it('stands beside what a product is made of', () => {
    const inputs = [
      { name: 'hr/staff', version: '2.0.0' },
      { name: 'a dataset that you may not know of', version: '' }
    ];
    expect(show({ inputs }).textContent).toContain('made of hr/staff 2.0.0, a dataset that you may not know of');
    expect(show({ inputs: [] }).textContent).not.toContain('made of a');
    expect(show({ produced_by: PRODUCED }).textContent).toContain('made by job sales, version 3, run 12');
    expect(show({ inputs: [] }).textContent).not.toContain('made by');
    expect(show({ sha256: 'ab'.repeat(32) }).textContent).toContain(
      'jobs read only the file with sha256 abababababab…'
    );
    expect(show({ sha256: '' }).textContent).not.toContain('jobs read only');
  });
});
