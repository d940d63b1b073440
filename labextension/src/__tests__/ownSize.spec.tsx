import { act, fireEvent, render, screen } from '@testing-library/react';
import React from 'react';

import type { ProfileChoice } from '../api/generated/openapi';
import { ProfileChooser } from '../features/quotas/ProfileChooser';
import { QuotaModel } from '../state/quotaModel';
import { aKernel, aMe, FakeApi } from './fakeApi';
import { FakeNotebooks } from './fakeNotebooks';

/** A server that keeps sizes of single notebooks, too. */
class SizesApi extends FakeApi {
  kept: Record<string, string> = { 'work/big.ipynb': 'large' };

  override me = (notebook?: string | null): Promise<ReturnType<typeof aMe>> => {
    const profile = this.kept[notebook ?? ''];
    return Promise.resolve({ ...this.meAnswer, own: notebook && profile ? { notebook, profile } : null });
  };

  override chooseProfile = (choice: ProfileChoice): Promise<ProfileChoice> => {
    const { notebook, profile } = choice;
    this.calls.push(`${profile} for ${notebook ?? 'all'}`);
    if (notebook) {
      this.kept[notebook] = profile ?? '';
    }
    return Promise.resolve(choice);
  };
}

describe('the size of one notebook', () => {
  let api: SizesApi;
  let model: QuotaModel;

  beforeEach(() => {
    api = new SizesApi();
    api.kernelsAnswer = { ...api.kernelsAnswer, kernels: [aKernel({ id: 'k1', profile: 'large' })] };
    model = new QuotaModel(api);
    model.visible = true;
    model.setCurrentKernel('k1', false, 'work/big.ipynb');
  });

  afterEach(() => model.dispose());

  it('is shown and changed while that is in front, and the one for all elsewhere', async () => {
    await model.refresh();
    expect([model.chosen, model.restartNeeded]).toEqual(['large', false]);
    await model.choose('small');
    expect(api.calls).toContain('small for work/big.ipynb');
    expect([model.chosen, model.restartNeeded]).toEqual(['small', true]);
    model.setCurrentKernel('k1', false, 'b.ipynb');
    expect(model.restartNeeded).toBe(false); // nobody knows yet
    await model.refresh();
    expect([model.own, model.restartNeeded]).toEqual([null, true]);
    await model.choose('large');
    expect(api.calls).toContain('large for all');
  });

  it('is said to hold for it alone, and gives way to that of all others', async () => {
    const view = (): React.JSX.Element => <ProfileChooser model={model} notebooks={new FakeNotebooks()} />;
    const { rerender } = render(view());
    model.stateChanged.connect(() => act(() => rerender(view())));
    await model.refresh();
    const chooser = screen.getByRole<HTMLSelectElement>('combobox', { name: 'Size of the next kernel of big.ipynb' });
    expect(chooser.value).toBe('large');
    fireEvent.click(screen.getByRole('button', { name: 'Same as others' }));
    expect(await screen.findByRole('combobox', { name: 'Size of the next kernel' })).toHaveProperty('value', 'small');
    expect(screen.getByRole('button', { name: 'Restart kernel…' })).toBeTruthy();
  });
});
