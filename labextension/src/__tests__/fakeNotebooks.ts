import { Signal } from '@lumino/signaling';

import { IChange, INotebooks } from '../state/notebooks';
import { IParameter } from '../state/parameters';

/** A notebook in front that only remembers what was done with it. */
export class FakeNotebooks implements INotebooks {
  done: string[] = [];
  path: string | null = 'analysis/churn.ipynb';
  kernelId: string | null = 'k1';
  busy = false;
  writable = true;
  changed: Signal<INotebooks, void> = new Signal<INotebooks, void>(this);

  tagged: IParameter[] = [];
  others: string[] = [];

  beside(path: string): Promise<string[]> {
    this.done.push(`beside ${path}`);
    return Promise.resolve(this.others);
  }

  parameters(): IParameter[] {
    return this.tagged;
  }

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

  clear(path: string, cell: number): Promise<void> {
    this.done.push(`clear ${path} ${cell}`);
    return Promise.resolve();
  }

  tag(path: string, cell: number, name: string): Promise<void> {
    this.done.push(`tag ${path} ${cell} ${name}`);
    return Promise.resolve();
  }

  replace(path: string, { cell, line, old, fresh }: IChange): Promise<void> {
    this.done.push(`replace ${path} ${cell}:${line} ${old} by ${fresh}`);
    return Promise.resolve();
  }

  runAll(path: string): Promise<void> {
    this.done.push(`run all of ${path}`);
    return Promise.resolve();
  }

  restart(): Promise<boolean> {
    this.done.push('restart');
    return Promise.resolve(true);
  }
}
