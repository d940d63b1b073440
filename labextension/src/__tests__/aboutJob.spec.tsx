import { fireEvent, render, screen } from '@testing-library/react';
import React from 'react';

import { JobForm } from '../features/submit/JobForm';

let mockBroken = true;

jest.mock('../features/submit/AboutJob', () => ({
  get AboutJob(): React.ComponentType {
    if (mockBroken) {
      throw new Error('the file is gone');
    }
    return () => <p>the fields</p>;
  }
}));

describe('a form that can not be loaded', () => {
  it('says so, and is loaded by a second try', async () => {
    const others = (): Promise<string[]> => Promise.resolve([]);
    const { container } = render(
      <JobForm said={{}} cell="" problems={{}} found={{}} others={others} onChange={() => undefined} />
    );
    fireEvent(container.querySelector('details') as HTMLElement, new Event('toggle'));
    expect((await screen.findByRole('alert')).textContent).toContain('the file is gone');
    mockBroken = false;
    fireEvent.click(screen.getByRole('button', { name: 'Try again' }));
    expect(await screen.findByText('the fields')).toBeTruthy();
    expect(screen.queryByRole('alert')).toBeNull();
  });
});
