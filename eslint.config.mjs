import jsxA11y from 'eslint-plugin-jsx-a11y';
import prettier from 'eslint-config-prettier';
import reactHooks from 'eslint-plugin-react-hooks';
import tseslint from 'typescript-eslint';

export default tseslint.config(
  {
    ignores: [
      '**/node_modules',
      '**/.venv',
      'labextension/lib',
      'labextension/src/api/generated',
      'jupyter_guardrails',
      '*.js',
      '**/*.mjs'
    ]
  },
  {
    files: ['labextension/src/**/*.{ts,tsx}'],
    extends: [...tseslint.configs.strictTypeChecked, jsxA11y.flatConfigs.recommended, prettier],
    plugins: { 'react-hooks': reactHooks },
    languageOptions: { parserOptions: { project: './tsconfig.test.json', tsconfigRootDir: import.meta.dirname } },
    rules: {
      ...reactHooks.configs.recommended.rules,
      '@typescript-eslint/explicit-module-boundary-types': 'error',
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      // Lumino binds a slot itself: signal.connect(this.slot, this).
      '@typescript-eslint/unbound-method': 'off',
      curly: 'error',
      eqeqeq: 'error',
      'max-depth': ['error', 3],
      'max-lines': ['error', 400],
      'max-lines-per-function': ['error', { max: 70, skipComments: true }],
      'no-restricted-syntax': [
        'error',
        { selector: 'JSXText[value=/[A-Za-z]/]', message: 'Every text goes through the translator.' },
        {
          selector: "JSXAttribute[name.name='dangerouslySetInnerHTML']",
          message: 'Text of notebooks and people is text, never HTML.'
        },
        {
          selector: "MemberExpression[property.name='innerHTML']",
          message: 'Text of notebooks and people is text, never HTML.'
        }
      ]
    }
  },
  {
    files: ['labextension/src/**/*.spec.{ts,tsx}'],
    rules: { 'max-lines-per-function': 'off', 'no-restricted-syntax': 'off' }
  }
);
