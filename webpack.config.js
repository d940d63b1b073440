// Read by jupyter-builder (package.json, jupyterlab.webpackConfig): style sheets lie in the JavaScript as text, which nothing else makes smaller.
const minify = { minify: true, targets: 'chrome >= 120, firefox >= 120, safari >= 17' };

module.exports = {
  module: {
    rules: [{ test: /\.css$/, enforce: 'pre', loader: 'builtin:lightningcss-loader', options: minify }]
  }
};
