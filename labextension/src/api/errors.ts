import { ServerConnection } from '@jupyterlab/services';

const NONE: Readonly<Record<string, string>> = {};

/**
 * What kind of failure it is: the server (or this page) said no; it was not reached; it did not answer in time; it has no server part of ours;
 * its server part does not know this request; a log-in page came instead of an answer; something that nobody foresaw went wrong in it.
 */
export type Trouble = 'said' | 'offline' | 'late' | 'missing' | 'older' | 'signed_out' | 'broken';

/** What went wrong with a request, in the words of the server: every refusal has its rule and the next step. */
export class ApiError extends Error {
  constructor(
    message: string,
    readonly options: {
      code?: string;
      nextStep?: string;
      rule?: string;
      fields?: Record<string, string>;
      status?: number;
      offline?: boolean;
      trouble?: Trouble;
    } = {}
  ) {
    super(message);
    this.name = 'ApiError';
  }

  /** Which kind of failure it is. */
  get trouble(): Trouble {
    return this.options.trouble ?? (this.options.offline ? 'offline' : 'said');
  }

  /** The server was not reached, or said nothing: a later try may work. */
  get offline(): boolean {
    return this.trouble === 'offline' || this.trouble === 'late';
  }

  get nextStep(): string {
    return this.options.nextStep ?? '';
  }

  /** Place and name of the rule that decided, such as `guardrails.yaml:31 restricted-stays-shut`. */
  get rule(): string {
    return this.options.rule ?? '';
  }

  /** What is wrong with a malformed request, by its place, such as `details.schedule`. */
  get fields(): Readonly<Record<string, string>> {
    return this.options.fields ?? NONE;
  }

  /** Any thrown value as an ApiError. */
  static from(reason: unknown): ApiError {
    if (reason instanceof ApiError) {
      return reason;
    }
    const message = reason instanceof Error ? reason.message : String(reason);
    return new ApiError(message, { offline: reason instanceof ServerConnection.NetworkError });
  }
}
