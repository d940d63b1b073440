import { fireEvent, render, screen } from '@testing-library/react';
import { axe } from 'jest-axe';
import React from 'react';

import { ApiError } from '../api/errors';
import { Checklist } from '../components/Checklist';
import { DataTable } from '../components/DataTable';
import { level, Meter } from '../components/Meter';
import { ErrorNotice } from '../components/Notice';
import { Tabs } from '../components/Tabs';
import { aCheck } from './fakeApi';

async function expectNoViolations(container: Element): Promise<void> {
  const { violations } = await axe(container);
  expect(violations.map(({ id, help }) => `${id}: ${help}`)).toEqual([]);
}

describe('Meter', () => {
  it.each([
    [0, 'fine'],
    [79, 'fine'],
    [80, 'high'],
    [94, 'high'],
    [95, 'full'],
    [120, 'full']
  ])('%d of 100 is %s', (value, expected) => expect(level(value, 100)).toBe(expected));

  it('is a meter with numbers in words, high ones in words too', async () => {
    const { container } = render(<Meter label="Memory" value={90} max={100} peak={95} format={n => `${n} B`} />);
    const meter = screen.getByRole('meter', { name: 'Memory' });
    expect(meter.getAttribute('aria-valuetext')).toBe('90 B of 100 B');
    expect(container.textContent).toContain('high');
    await expectNoViolations(container);
  });

  it('without a limit is a number and no gauge', () => {
    render(<Meter label="Time" value={3} max={null} format={n => `${n} h`} />);
    expect(screen.queryByRole('meter')).toBeNull();
    expect(screen.getByText('3 h used')).toBeTruthy();
  });

  it('never claims more than its maximum', () => {
    render(<Meter label="Memory" value={150} max={100} format={n => `${n}`} />);
    expect(screen.getByRole('meter').getAttribute('aria-valuenow')).toBe('100');
  });
});

describe('Checklist', () => {
  const checks = [
    aCheck({ seconds: 0.31 }),
    aCheck({
      name: 'secrets',
      title: 'Secrets',
      state: 'failed',
      findings: [{ cell: 1, line: 3, message: '<b>key</b>', fix: 'remove it' }]
    }),
    aCheck({ name: 'clean_run', title: 'Clean run', state: 'running', progress: { done: 3, total: 12 } }),
    aCheck({ name: 'environment', title: 'Environment', state: 'running', progress: { done: 2, total: 3 } }),
    aCheck({ name: 'vulnerabilities', title: 'Vulnerabilities', state: 'not_checked' })
  ];

  it('says each state in words, with progress, findings and fixes', async () => {
    const { container } = render(<Checklist checks={checks} onCell={() => undefined} fixOf={() => null} />);
    for (const text of ['passed', '0.3 s', 'failed', 'remove it', '3 of 12 cells', '2 of 3', 'not checked']) {
      expect(container.textContent).toContain(text);
    }
    expect(screen.getByRole('progressbar', { name: 'Clean run' }).getAttribute('value')).toBe('3');
    await expectNoViolations(container);
  });

  it('shows text of notebooks as text', () => {
    const { container } = render(<Checklist checks={checks} onCell={() => undefined} fixOf={() => null} />);
    expect(container.textContent).toContain('<b>key</b>');
    expect(container.querySelector('.jp-Guardrails-findings b:not(.jp-Guardrails-fix b)')).toBeNull();
  });

  it('keeps what a passed check has to say behind its title', () => {
    render(<Checklist checks={[aCheck({ detail: '12 `cells`' })]} onCell={() => undefined} fixOf={() => null} />);
    const detail = screen.getByText('cells');
    expect(detail.tagName).toBe('CODE');
    expect(detail.closest('details')?.open).toBe(false);
  });

  it('leads to the cell, counted from 0 in data and from 1 on screen', () => {
    const cells: number[] = [];
    render(<Checklist checks={checks} onCell={cell => cells.push(cell)} fixOf={() => null} />);
    fireEvent.click(screen.getByRole('button', { name: 'Cell 2, line 3' }));
    expect(cells).toEqual([1]);
  });
});

describe('ErrorNotice', () => {
  it('gives reason, next step and rule, and tries again', async () => {
    let tries = 0;
    const error = new ApiError('no', { nextStep: 'ask carol', rule: 'guardrails.yaml:3 r' });
    const { container } = render(<ErrorNotice error={error} title="Refused" onRetry={() => (tries += 1)} />);
    expect(screen.getByRole('alert').textContent).toContain('Next step: ask carol');
    expect(container.textContent).toContain('guardrails.yaml:3 r');
    fireEvent.click(screen.getByRole('button', { name: 'Try again' }));
    expect(tries).toBe(1);
    await expectNoViolations(container);
  });

  it('says when the server is away, in place of what failed', () => {
    const { container } = render(<ErrorNotice error={new ApiError('x', { offline: true })} title="Refused" />);
    expect(container.textContent).toContain('cannot be reached');
    expect(container.textContent).not.toContain('Refused');
  });
});

describe('Tabs', () => {
  const tabs = ['a', 'b', 'c'].map(id => ({ id, label: id.toUpperCase(), panelId: `p-${id}` }));

  it('move by arrow keys, round the ends, and by Home and End', () => {
    const chosen: string[] = [];
    const { rerender } = render(<Tabs label="Parts" tabs={tabs} selected="a" onSelect={id => chosen.push(id)} />);
    const list = screen.getByRole('tablist');
    fireEvent.keyDown(list, { key: 'ArrowRight' });
    fireEvent.keyDown(list, { key: 'ArrowLeft' });
    fireEvent.keyDown(list, { key: 'End' });
    rerender(<Tabs label="Parts" tabs={tabs} selected="c" onSelect={id => chosen.push(id)} />);
    fireEvent.keyDown(list, { key: 'ArrowRight' });
    fireEvent.keyDown(list, { key: 'x' });
    expect(chosen).toEqual(['b', 'c', 'c', 'a']);
    expect(document.activeElement?.textContent).toBe('A');
  });

  it('have one tab stop, the selected one', () => {
    render(<Tabs label="Parts" tabs={tabs} selected="b" onSelect={() => undefined} />);
    expect(screen.getAllByRole('tab').map(tab => tab.tabIndex)).toEqual([-1, 0, -1]);
  });
});

describe('DataTable', () => {
  it('is a table that the keyboard can scroll', async () => {
    const { container } = render(
      <DataTable title="Rows" caption="First rows of x" columns={['a']} rows={[['1'], ['2']]} />
    );
    expect(screen.getByRole('region', { name: 'First rows of x' }).tabIndex).toBe(0);
    expect(screen.getAllByRole('row')).toHaveLength(3);
    await expectNoViolations(container);
  });
});
