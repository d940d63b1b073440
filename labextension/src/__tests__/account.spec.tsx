import { render, screen } from '@testing-library/react';
import { axe } from 'jest-axe';
import React from 'react';

import type { Me, Opened } from '../api/generated/openapi';
import { AccountNotices } from '../features/quotas/AccountNotices';
import { moment } from '../format';
import { aMe, NOW } from './fakeApi';

const SUSPENDED: NonNullable<Me['suspended']> = {
  reason: 'the account ana was suspended by carol on 2026-03-01 12:00 UTC: ticket 12',
  since: NOW,
  next_step: 'talk to carol',
  ends_kernels_at: null
};
const OPENED: Opened = {
  id: 'b-1',
  kind: 'dataset',
  name: 'hr/salaries',
  unmasked: false,
  reason: 'payroll is down, ticket 99',
  by: 'carol',
  until: NOW
};

describe('what an admin stopped or opened', () => {
  it('is nothing for most people', () => {
    const { container } = render(<AccountNotices me={aMe({ suspended: null, break_glass: [] })} />);
    expect(container.textContent).toBe('');
  });

  it('says who suspended the account, why, and the next step, without alarm', async () => {
    const { container } = render(<AccountNotices me={aMe({ suspended: SUSPENDED })} />);
    const card = screen.getByRole('status');
    for (const text of [
      'Your account is suspended',
      SUSPENDED.reason,
      'nothing new starts',
      'Next step: talk to carol'
    ]) {
      expect(card.textContent).toContain(text);
    }
    expect(card.textContent).not.toContain('What still runs');
    expect((await axe(container)).violations).toEqual([]);
  });

  it('says when what still runs ends, until then', () => {
    const at = new Date(Date.now() + 60_000).toISOString();
    const { container, rerender } = render(
      <AccountNotices me={aMe({ suspended: { ...SUSPENDED, ends_kernels_at: at } })} />
    );
    expect(container.textContent).toContain(`What still runs ends at ${moment(at)}: save your work.`);
    rerender(<AccountNotices me={aMe({ suspended: { ...SUSPENDED, ends_kernels_at: NOW } })} />);
    expect(container.textContent).not.toContain('What still runs');
  });

  it('says what break-glass opens, by whom, why, until when, and how to end it', () => {
    const large: Opened = { ...OPENED, id: 'b-2', kind: 'profile', name: 'large', by: 'ana' };
    render(<AccountNotices me={aMe({ break_glass: [OPENED, large] })} />);
    const [data, profile] = screen.getAllByRole('status').map(({ textContent }) => textContent);
    expect(data).toContain('hr/salaries is open to you for a while');
    expect(data).toContain(`Until ${moment(NOW)}, by carol: payroll is down, ticket 99`);
    expect(data).toContain('jupyter guardrails break-glass end b-1');
    expect(data).not.toContain('masks');
    expect(profile).toContain('Profile large is open to you');
    expect(profile).toContain(`Until ${moment(NOW)}, by yourself`);
  });

  it('says that masks are off', () => {
    const { container } = render(<AccountNotices me={aMe({ break_glass: [{ ...OPENED, unmasked: true }] })} />);
    expect(container.textContent).toContain('Without the masks and row filters');
  });
});
