import { Signal } from '@lumino/signaling';

import { INotebooks } from '../state/notebooks';

/** A notebook in front that only remembers what was done with it. */
export class FakeNotebooks implements INotebooks {
  done: string[] = [];
  path: string | null = 'analysis/churn.ipynb';
  kernelId: string | null = 'k1';
  busy = false;
  writable = true;
  changed: Signal<INotebooks, void> = new Signal<INotebooks, void>(this);

  save(): Promise<void> {
    this.done.push('save');
    return Promise.resolve();
  }

  saveAll(kernelId: string): Promise<void> {
    this.done.push(`save all of ${kernelId}`);
    return this.writable ? Promise.resolve() : Promise.reject(new Error('This notebook is read-only.'));
  }

  insert(code: string): boolean {
    this.done.push(`insert ${code}`);
    return this.writable;
  }

  reveal(path: string, cell: number): Promise<void> {
    this.done.push(`reveal ${path} ${cell}`);
    return Promise.resolve();
  }

  restart(): Promise<boolean> {
    this.done.push('restart');
    return Promise.resolve(true);
  }
}
