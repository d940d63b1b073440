import { ServerConnection } from '@jupyterlab/services';

const NONE: Readonly<Record<string, string>> = {};

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
    } = {}
  ) {
    super(message);
    this.name = 'ApiError';
  }

  /** The server was not reached: nothing was decided, a later try may work. */
  get offline(): boolean {
    return this.options.offline ?? false;
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
