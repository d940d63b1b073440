import { fireEvent, render, screen, within } from '@testing-library/react';
import { axe } from 'jest-axe';
import React from 'react';

import '../features/submit/AboutJob'; // read now, and not while a test waits for it
import { JobForm } from '../features/submit/JobForm';
import { Said } from '../state/submissionModel';

describe('several notebooks in one job', () => {
  let said: Said;
  let others: () => Promise<string[]>;

  function Form({ problems = {} }: { problems?: Record<string, string> }): React.JSX.Element {
    const [now, setNow] = React.useState<Said>({});
    said = now;
    return <JobForm said={now} cell="" problems={problems} found={{}} others={() => others()} onChange={setNow} />;
  }

  const button = (name: string): HTMLButtonElement => screen.getByRole('button', { name });
  const field = (): HTMLElement => screen.getByRole('combobox', { name: 'Notebooks that run after it' });
  const open = async (container: HTMLElement): Promise<void> => {
    fireEvent(container.querySelector('details') as HTMLElement, new Event('toggle'));
    await screen.findByText('Labels, one a line'); // the form was loaded
  };

  it('are chosen from the folder, in an order that can be changed', async () => {
    others = () => Promise.resolve(['jobs/a.ipynb', 'jobs/b.ipynb', 'jobs/c.ipynb']);
    const { container } = render(<Form />);
    await open(container);
    await screen.findByRole('option', { name: 'a.ipynb' });
    for (const name of ['a', 'b', 'c']) {
      fireEvent.change(field(), { target: { value: `jobs/${name}.ipynb` } });
    }
    fireEvent.click(button('Run c.ipynb earlier'));
    fireEvent.click(button('Leave a.ipynb out'));
    expect(said.details?.then).toEqual(['jobs/c.ipynb', 'jobs/b.ipynb']);
    fireEvent.click(button('Run c.ipynb later'));
    expect(said.details?.then).toEqual(['jobs/b.ipynb', 'jobs/c.ipynb']);
    const order = within(screen.getByRole('list', { name: 'Order of the notebooks' })).getAllByRole('listitem');
    expect(order.map(({ textContent }) => textContent)).toEqual(['b.ipynb↑↓×', 'c.ipynb↑↓×']);
    expect([button('Run b.ipynb earlier').disabled, button('Run c.ipynb later').disabled]).toEqual([true, true]);
    expect(within(field()).getAllByRole('option')).toHaveLength(2);
    expect((await axe(container)).violations.map(({ id }) => id)).toEqual([]);
  });

  it('say at the field what the server refused', async () => {
    const { container } = render(<Form problems={{ 'details.then': 'b.ipynb is in another folder' }} />);
    await open(container);
    const words = document.getElementById(field().getAttribute('aria-describedby') ?? '');
    expect(words?.textContent).toBe('b.ipynb is in another folder');
    expect(container.querySelector('details')?.open).toBe(true);
  });

  it('say why there is none to choose', async () => {
    others = () => Promise.resolve([]);
    const { container } = render(<Form />);
    await open(container);
    await screen.findByText('No other notebook in this folder');
    others = () => Promise.reject(new Error('the folder is gone'));
    await open(container);
    await screen.findByText('The folder could not be read: the folder is gone');
  });
});
