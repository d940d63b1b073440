import { Signal } from '@lumino/signaling';

import { IChange, INotebooks, IPlace } from '../state/notebooks';

/** A notebook in front that only remembers what was done with it. */
export class FakeNotebooks implements INotebooks {
  done: string[] = [];
  path: string | null = 'analysis/churn.ipynb';
  kernelId: string | null = 'k1';
  busy = false;
  writable = true;
  language: string | null = 'python';
  changed: Signal<INotebooks, void> = new Signal<INotebooks, void>(this);

  tagged = '';
  others: string[] = [];

  beside(path: string): Promise<string[]> {
    this.done.push(`beside ${path}`);
    return Promise.resolve(this.others);
  }

  at(part: Element): IPlace | null {
    return part.closest('.jp-Notebook') ? { language: this.language, writable: this.writable } : null;
  }

  selectDropped(part: Element, code: string): void {
    this.done.push(`select ${code} in ${part.className}`);
  }

  parameters(): string {
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
