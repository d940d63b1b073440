import { act, fireEvent, render, screen } from '@testing-library/react';
import { axe } from 'jest-axe';
import React from 'react';

import { ApiError } from '../api/errors';
import { QuotasView } from '../features/quotas/QuotasView';
import { QuotaModel } from '../state/quotaModel';
import { aKernel, aNotice, FakeApi } from './fakeApi';
import { FakeNotebooks } from './fakeNotebooks';

describe('a kernel that nobody uses', () => {
  it('says how long it stays, and is kept', async () => {
    const api = new FakeApi();
    const model = new QuotaModel(api);
    const view = (): React.JSX.Element => <QuotasView model={model} notebooks={new FakeNotebooks()} />;
    const { container, rerender } = render(view());
    model.stateChanged.connect(() => act(() => rerender(view())));
    model.visible = true;
    api.kernelsAnswer.kernels = [aKernel({ idle_s: 20, idle_limit_s: 7200 })];
    await model.refresh();
    expect(container.textContent).toContain('Ends after 2 h without use.');
    api.kernelsAnswer.kernels = [aKernel({ idle_s: 3600, idle_limit_s: 7200 })];
    await model.refresh();
    expect(screen.getByRole('timer').textContent).toMatch(/^(1:00:00|59:5\d)$/);
    expect((await axe(container)).violations.map(({ id }) => id)).toEqual([]);
    api.failure = new ApiError('it is not its idle time that ends it');
    fireEvent.click(screen.getByRole('button', { name: 'Keep churn.ipynb' }));
    expect((await screen.findByText(/not its idle time/)).closest('[role=alert]')).toBeTruthy();
    api.failure = null;
    fireEvent.click(screen.getByRole('button', { name: 'Keep churn.ipynb' }));
    await act(() => model.refresh());
    expect(api.calls.filter(call => call === 'keep k1').length).toBe(2);
    api.kernelsAnswer.kernels = [aKernel({ idle_s: 6600, idle_limit_s: 7200, notices: [aNotice({ can: ['keep'] })] })];
    await act(() => model.refresh());
    expect(screen.queryByRole('button', { name: 'Keep churn.ipynb' })).toBeNull(); // its notice has the button
    model.dispose();
  });
});
